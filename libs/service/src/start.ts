/**
 * One service from its settings to its end: log, health port, bus, the service itself; and the same backwards.
 *
 * The health port is there first and goes last, so that an orchestrator sees why a service is not ready. Whatever a service
 * opened is closed in reverse order, inside the drain deadline.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'

import { connectBus, type ConnectedBus } from '@postbus/bus'
import { serviceNames, type ServiceStatus } from '@postbus/contracts'
import { openMetrics, openMetricsRegistry } from '@postbus/metrics'
import { openTracing } from '@postbus/tracing'

import manifest from '../package.json' with { type: 'json' }
import { answerStatus } from './answer-status.ts'
import type { ServiceDefinition } from './define.ts'
import { serveHealth } from './health.ts'
import type { ServiceLog } from './log.ts'
import { serviceTable } from './metrics.ts'
import { keepProbing } from './probe.ts'
import type { CommonConfig } from './settings.ts'

export interface RunningService {
  readonly name: string
  readonly healthPort: number
  /** Resolves when the service has started; rejects when it cannot. */
  readonly started: Promise<void>
  /** Resolves with the reason when it can go on no longer. Never rejects. */
  readonly failed: Promise<unknown>
  /** Readiness off, then everything closed. @returns false when the deadline came first */
  stop(): Promise<boolean>
}

/** Of the drain deadline, for what the bus has in hand; the rest is for closing databases and sockets. */
const SHARE_FOR_HANDLERS = 0.7

type Close = () => Promise<void> | void

export async function startService<Config>(
  definition: ServiceDefinition<Config>,
  config: Config,
  common: CommonConfig,
  serviceLog: ServiceLog,
): Promise<RunningService> {
  const { log } = serviceLog
  const { name } = definition
  const instance = `${hostname()}-${randomUUID().slice(0, 8)}`
  const { version } = manifest
  const startedAt = new Date()
  const stopping = new AbortController()
  const metrics = openMetricsRegistry()
  const closes: Close[] = []
  const checks: (() => string | null)[] = []
  let phase: 'starting' | 'running' | 'stopping' = 'starting'
  let bus: ConnectedBus | undefined

  const reasons = (): string[] => [
    ...(phase === 'running' ? [] : [phase]),
    ...(bus?.connected ? [] : ['not connected to the bus']),
    ...checks.map((check) => check()).filter((reason) => reason !== null),
  ]
  const { ready } = openMetrics(serviceTable, metrics)
  ready.whenRead(() => ready.set(reasons().length === 0 ? 1 : 0))
  const health = await serveHealth({ host: common.HEALTH_HOST, port: common.HEALTH_PORT, metrics, reasons })
  closes.push(() => health.close())
  log.info({ healthPort: health.port, instance, version }, 'starting')

  const failure = Promise.withResolvers<unknown>()

  async function start(): Promise<void> {
    const tracing = await openTracing(
      common,
      { service: name, instance, version },
      {
        failing: (err) => log.warn({ err }, 'the collector does not take spans; they are dropped until it does'),
        recovered: () => log.info('the collector takes spans again'),
      },
    )
    closes.push(() => tracing.close())
    const { tracer } = tracing
    const connected = await connectBus({
      servers: common.NATS_URL,
      party: definition.name,
      nkeyFile: common.NATS_NKEY_FILE,
      ...(common.NATS_CA_FILE && {
        tls: { caFile: common.NATS_CA_FILE, certFile: common.NATS_CERT_FILE, keyFile: common.NATS_KEY_FILE },
      }),
      log,
      metrics,
      tracer,
      shards: common.MAIL_OUT_SHARDS,
      drainDeadlineMs: common.DRAIN_DEADLINE_MS * SHARE_FOR_HANDLERS,
      signal: stopping.signal,
    })
    bus = connected
    closes.push(() => connected.close())
    void connected.closed.then((reason) => reason && failure.resolve(reason))
    if (isServiceName(name)) {
      const status = await answerStatus(connected, { service: name, instance, version, startedAt, reasons }, serviceLog)
      closes.push(() => status.stop())
    }
    await definition.start({
      config,
      log,
      bus: connected,
      metrics,
      tracer,
      defer: (close) => void closes.push(close),
      readiness: (check) => void checks.push(check),
      probe(what, check) {
        const probe = keepProbing(what, check, { everyMs: common.HEALTH_PROBE_MS, signal: stopping.signal })
        closes.push(() => probe.stop())
        checks.push(() => probe.reason)
      },
      signal: stopping.signal,
    })
    if (phase === 'starting') phase = 'running'
    log.info('started')
  }

  async function closeAll(): Promise<void> {
    for (let close = closes.pop(); close; close = closes.pop()) {
      try {
        await close()
      } catch (err) {
        log.error({ err }, 'could not close something cleanly')
      }
    }
  }

  async function stop(): Promise<boolean> {
    phase = 'stopping'
    log.info('stopping')
    stopping.abort()
    const timer = Promise.withResolvers<boolean>()
    const timeout = setTimeout(() => timer.resolve(false), common.DRAIN_DEADLINE_MS)
    // A start that hangs is not waited for: what it opened so far is closed under it.
    const inTime = await Promise.race([closeAll().then(() => true), timer.promise])
    clearTimeout(timeout)
    if (inTime) log.info('stopped')
    else log.error({ deadlineMs: common.DRAIN_DEADLINE_MS }, 'not closed by the drain deadline')
    return inTime
  }

  const started = start().catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error
  })
  started.catch((error: unknown) => failure.resolve(error))

  let stopped: Promise<boolean> | undefined
  return {
    name: definition.name,
    healthPort: health.port,
    started,
    failed: failure.promise,
    stop: () => (stopped ??= stop()),
  }
}

const isServiceName = (name: string): name is ServiceStatus['service'] => serviceNames.some((known) => known === name)
