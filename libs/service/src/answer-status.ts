/** What a service says of itself to operators, and the log level they may set for a while. */
import { hostname } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'

import type { Bus, Stoppable } from '@postbus/bus'
import {
  boundedReasons,
  directoryReady,
  mailstoreReady,
  type ServiceStatus,
  serviceStatus,
  setLogLevel,
} from '@postbus/contracts'

import type { ServiceLog } from './log.ts'
import type { LogLevel } from './settings.ts'

const RECENT_MINUTES = 5
const RESOLUTION_MS = 20
const NANOS_PER_MS = 1_000_000
/** Event loop delay is told of the last so many milliseconds, at least. */
const DELAY_WINDOW_MS = 60_000

export interface Self {
  service: ServiceStatus['service']
  instance: string
  version: string
  startedAt: Date
  reasons(): string[]
}

export async function answerStatus(bus: Bus, self: Self, log: ServiceLog): Promise<Stoppable> {
  const levels = levelFor(log)
  const { service, instance, version } = self
  const reasons = async () => ({ reasons: boundedReasons(self.reasons()) })
  const answers = await Promise.all([
    bus.answerSurvey(serviceStatus, async () => statusOf(self, log)),
    bus.answerSurvey(setLogLevel, async ({ service: meant, level, forSeconds, by }) => {
      if (meant !== service) return null
      log.log.warn({ newLevel: level, forSeconds, by, instance, version }, 'log level set by an operator')
      return { service, instance, level: levels.set(level, forSeconds * 1000) }
    }),
    ...(service === 'directory' ? [bus.answer(directoryReady, reasons)] : []),
    ...(service === 'mailstore' ? [bus.answer(mailstoreReady, reasons)] : []),
  ])
  return {
    async stop() {
      levels.stop()
      await Promise.all(answers.map((answer) => answer.stop()))
    },
  }
}

function statusOf({ service, instance, version, startedAt, reasons }: Self, log: ServiceLog): ServiceStatus {
  const why = boundedReasons(reasons())
  return {
    ...{ service, instance, version },
    node: process.version,
    host: hostname(),
    pid: process.pid,
    startedAt: startedAt.toISOString(),
    ready: why.length === 0,
    reasons: why,
    logLevel: log.level,
    troubles: log.troubles.within(RECENT_MINUTES),
    residentBytes: process.memoryUsage.rss(),
    eventLoopDelayMs: eventLoopDelayMs(),
  }
}

/** The level an operator asked for, until its time is up. */
function levelFor(log: ServiceLog): { set(level: LogLevel | null, forMs: number): LogLevel; stop(): void } {
  const usual = log.level
  let timer: NodeJS.Timeout | undefined
  return {
    set(level, forMs) {
      clearTimeout(timer)
      log.level = level ?? usual
      if (level !== null) timer = setTimeout(() => void (log.level = usual), forMs).unref()
      return log.level
    },
    stop: () => clearTimeout(timer),
  }
}

let ofProcess: { histogram: ReturnType<typeof monitorEventLoopDelay>; since: number } | undefined

/** Of the process, so watched once however many services share it. */
function eventLoopDelayMs(): number {
  if (!ofProcess) {
    ofProcess = { histogram: monitorEventLoopDelay({ resolution: RESOLUTION_MS }), since: performance.now() }
    ofProcess.histogram.enable()
    return 0
  }
  const { histogram, since } = ofProcess
  // What is measured is the time between two looks.
  const delayMs = Math.max(0, histogram.percentile(99) / NANOS_PER_MS - RESOLUTION_MS)
  if (performance.now() - since > DELAY_WINDOW_MS) {
    histogram.reset()
    ofProcess.since = performance.now()
  }
  return Number.isFinite(delayMs) ? Math.round(delayMs * 10) / 10 : 0
}
