/** One JSON line per event, on standard output. What must never be in a log is taken out here, whoever put it in. */
import { pino, type DestinationStream, type Logger } from 'pino'

/** Fields that hold secrets, at the top of a line and one level below. */
const SECRET_FIELDS = ['password', 'token', 'secret', 'seed', 'nkeySeed', 'authorization', 'credentials', 'privateKey']

/** Lines are written before the call returns: the last one before a crash is the one that is wanted. */
const standardOutput = pino.destination({ fd: 1, sync: true })

export function createLog(name: string, level: string, destination: DestinationStream = standardOutput): Logger {
  return pino(
    {
      name,
      level,
      redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '(hidden)' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
}
