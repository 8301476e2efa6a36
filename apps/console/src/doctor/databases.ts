/** Database files: sound, and with a log that is taken in. */
import type { DatabaseReport } from '@postbus/sql'

import { error, type Finding, ok, warning } from './finding.ts'

/** Cut back to 64 MiB after a burst; far more means that something reads for hours. */
const LONG_LOG_BYTES = 512 * 1024 ** 2
const MIB = 1024 ** 2

export function judgeDatabase(service: string, { problems, bytes, logBytes }: DatabaseReport): Finding {
  const check = `database ${service}`
  if (problems.length > 0) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
    const todo = 'stop the platform, keep the file, restore the last backup (postbus restore)'
    return error(check, `damaged: ${problems[0]}${more}`, todo)
  }
  const size = `${Math.ceil(bytes / MIB)} MiB`
  if (logBytes < LONG_LOG_BYTES) return ok(check, `sound, ${size}`)
  const found = `sound, ${size}, but its log has ${Math.ceil(logBytes / MIB)} MiB`
  return warning(check, found, 'something reads for very long: a backup, or a program of your own')
}
