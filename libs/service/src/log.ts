/**
 * One JSON line per event, on standard output. What must never be in a log is taken out here, whoever put it in.
 *
 * The level may change while the service runs, also for loggers made from this one before: lines are let through here and not
 * where they are written.
 */
import { currentTrace } from '@postbus/tracing'
import { type Bindings, type ChildLoggerOptions, type DestinationStream, type Logger, pino } from 'pino'

import { errorWithoutSecrets, withoutSecrets } from './secrets.ts'
import type { LogLevel } from './settings.ts'
import { Troubles } from './troubles.ts'

/** Lines are written before the call returns: the last one before a crash is the one that is wanted. */
const standardOutput = pino.destination({ fd: 1, sync: true })

export interface LogOptions {
  level: LogLevel
  /** Takes addresses out of a line; null: they stay. */
  mask?: ((line: string) => string) | null
  destination?: DestinationStream
}

export interface ServiceLog {
  log: Logger
  /** The least important lines that are written now. */
  level: LogLevel
  readonly troubles: Troubles
}

export function createLog(name: string, { level, mask, destination = standardOutput }: LogOptions): ServiceLog {
  const troubles = new Troubles(Date.now)
  let least = pino.levels.values[level] ?? 0
  const log = pino(
    {
      name,
      level: 'trace',
      serializers: { err: errorWithoutSecrets },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
      mixin() {
        const trace = currentTrace()
        return trace ? { traceId: trace.traceId } : {}
      },
      hooks: {
        logMethod(args, method, weight) {
          troubles.note(weight)
          if (weight >= least) method.apply(this, args)
        },
        ...(mask && { streamWrite: mask }),
      },
    },
    destination,
  )
  const child: (this: Logger, bindings: Bindings, options?: ChildLoggerOptions) => Logger = log.child
  const guarded = Object.assign(log, {
    // pino has no formatter for what a child always says.
    child(this: Logger, bindings: Bindings, options?: ChildLoggerOptions) {
      return child.call(this, withoutSecrets(bindings), options)
    },
  })
  return {
    log: guarded,
    troubles,
    get level() {
      return level
    },
    set level(next) {
      level = next
      least = pino.levels.values[next] ?? 0
    },
  }
}
