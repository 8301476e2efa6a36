/** A service: a name, its settings, and what it starts. Code inside never knows whether others share its process. */
import type { Bus } from '@postbus/bus'
import type { Party } from '@postbus/contracts'
import type { Tracer } from '@postbus/tracing'
import type { Logger } from 'pino'
import type { MetricsRegistry, MetricTable } from '@postbus/metrics'
import type { z } from 'zod'

export interface ServiceContext<Config> {
  config: Config
  log: Logger
  bus: Bus
  /** This service's own registry; `/metrics` on its health port. */
  metrics: MetricsRegistry
  /** Begins traces of what comes from outside; null where none are recorded. What follows finds its trace by itself. */
  tracer: Tracer | null
  /** Register something to close. Runs last-in first-out after a stop signal, inside the drain deadline. */
  defer(close: () => Promise<void> | void): void
  /** A reason for not being ready, or null. Shown in the body of `/readyz`. */
  readiness(check: () => string | null): void
  /** Looks regularly whether something works, from now on; while `check` throws the service is not ready, and says why. */
  probe(what: string, check: (signal: AbortSignal) => Promise<unknown>): void
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
