/** Database files: sound, and with a log that is taken in. PostgreSQL: reached, with the service's tables, and keeping what it confirms. */
import type { DatabaseReport, ServerReport } from '@postbus/sql'

import { error, type Finding, named, ok, warning } from './finding.ts'

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

/** @param report or why there is none */
export function judgeServer(service: string, report: ServerReport | { unreachable: string }): Finding {
  const check = `database ${service}`
  if ('unreachable' in report) {
    return error(
      check,
      report.unreachable,
      'start PostgreSQL, or correct the setting; the service waits and goes on by itself',
    )
  }
  const { version, steps, unsafe, isStandby } = report
  const server = `PostgreSQL ${version}`
  if (isStandby) return error(check, `${server}, a standby`, 'name the server that takes writes')
  if (unsafe.length > 0) {
    return error(
      check,
      `${server}, but ${named(unsafe)} is off: a loss of power loses mail`,
      'switch it on in postgresql.conf',
    )
  }
  if (steps === null) {
    return warning(check, `${server}, without tables`, 'the service makes them when it starts; see its log')
  }
  return ok(check, `${server}, ${steps.length} steps, the last ${steps.at(-1) ?? 'none'}`)
}
