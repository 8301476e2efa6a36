/** The spool: every record can be read, and nothing unfinished is left for long. */
import { error, type Finding, named, ok, warning } from './finding.ts'

export interface SpoolState {
  records: number
  /** When the oldest was written; null without records. */
  oldestAt: number | null
  /** Queue ids. */
  damaged: string[]
  /** Unfinished files older than a day. */
  unfinished: number
}

/** As long as a recipient may be tried for, and some. */
const OLD_MS = 8 * 24 * 3600_000
const DAY_MS = 24 * 3600_000

export function judgeSpool({ records, oldestAt, damaged, unfinished }: SpoolState, now: number): Finding[] {
  const findings: Finding[] = []
  if (damaged.length > 0) {
    const todo = 'check the disk; the senders have our 250: tell them, or restore these from a backup'
    findings.push(error('spool', `${damaged.length} damaged: ${named(damaged)}`, todo))
  }
  const age = oldestAt === null ? 0 : now - oldestAt
  const found = `${records} records${oldestAt === null ? '' : `, the oldest ${Math.round(age / DAY_MS)} days`}`
  if (age > OLD_MS)
    findings.push(warning('spool age', found, 'postbus queue and postbus dead list: something is held or dead'))
  if (unfinished > 0) {
    const todo = 'custody sweeps them (CUSTODY_SWEEP_AGE); see that one leads'
    findings.push(warning('spool', `${unfinished} unfinished files older than a day`, todo))
  }
  return findings.length > 0 ? findings : [ok('spool', `${found}, all readable`)]
}
