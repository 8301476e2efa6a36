/** Retries whose time has come and gone: schedules that did not fire, or nobody there to take them. */
import { type Finding, ok, warning } from './finding.ts'

export interface SiteState {
  site: string
  nextAttemptAt?: string | undefined
}

const LATE_MS = 15 * 60_000

export function judgeSchedules(sites: readonly SiteState[], now: number): Finding {
  const late = sites.filter(
    ({ nextAttemptAt }) => nextAttemptAt !== undefined && now - Date.parse(nextAttemptAt) > LATE_MS,
  )
  if (late.length === 0) return ok('schedules', `retries are in time, for ${sites.length} sites`)
  const found = `retries overdue for ${late.length} sites, first ${late[0]?.site}`
  return warning(
    'schedules',
    found,
    'see that delivery runs and owns its lanes; custody publishes again what the bus lost',
  )
}
