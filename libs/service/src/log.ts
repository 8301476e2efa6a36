/** One JSON line per event, on standard output. What must never be in a log is taken out here, whoever put it in. */
import { type Bindings, type ChildLoggerOptions, type DestinationStream, type Logger, pino } from 'pino'

import { errorWithoutSecrets, withoutSecrets } from './secrets.ts'

/** Lines are written before the call returns: the last one before a crash is the one that is wanted. */
const standardOutput = pino.destination({ fd: 1, sync: true })

export function createLog(name: string, level: string, destination: DestinationStream = standardOutput): Logger {
  const log = pino(
    {
      name,
      level,
      serializers: { err: errorWithoutSecrets },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
    },
    destination,
  )
  const child: (this: Logger, bindings: Bindings, options?: ChildLoggerOptions) => Logger = log.child
  return Object.assign(log, {
    // pino has no formatter for what a child always says.
    child(this: Logger, bindings: Bindings, options?: ChildLoggerOptions) {
      return child.call(this, withoutSecrets(bindings), options)
    },
  })
}
