/** A service: a name, its settings, and what it starts. Code inside never knows whether others share its process. */
import type { Bus } from '@postbus/bus'
import type { Party } from '@postbus/contracts'
import type { Logger } from 'pino'
import type { MetricsRegistry, MetricTable } from '@postbus/metrics'
import type { z } from 'zod'

export interface ServiceContext<Config> {
  config: Config
  log: Logger
  bus: Bus
  /** This service's own registry; `/metrics` on its health port. */
  metrics: MetricsRegistry
  /** Register something to close. Runs last-in first-out after a stop signal, inside the drain deadline. */
  defer(close: () => Promise<void> | void): void
  /** A reason for not being ready, or null. Shown in the body of `/readyz`. */
  readiness(check: () => string | null): void
  /** Aborted when the stop signal came. */
  signal: AbortSignal
}

export interface ServiceDefinition<Config = unknown> {
  /** Also its identity on the bus. */
  readonly name: Party
  readonly config: z.ZodType<Config>
  /** Everything it puts into its registry besides what every service has. */
  readonly metrics: readonly MetricTable[]
  start(context: ServiceContext<Config>): Promise<void>
}

export function defineService<Config>(definition: ServiceDefinition<Config>): ServiceDefinition<Config> {
  return definition
}
