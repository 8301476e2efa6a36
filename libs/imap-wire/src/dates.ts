/** Dates as IMAP writes them, to and from ISO 8601 — RFC 9051 §9 (date, date-time). */
import type { Arguments } from './arguments.ts'
import { ImapSyntaxError } from './syntax-error.ts'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const
const DATE = /([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})/y
const DATE_TIME =
  /^( [0-9]|[0-9]{2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})$/

/** A calendar day, quoted or not, as `YYYY-MM-DD`. */
export function parseDate(args: Arguments): string {
  const quoted = args.skip('"')
  const [day = '', month = '', year = ''] = args.pattern(DATE, 'a date such as 1-Feb-1994').split('-')
  if (quoted) args.expect('"')
  return calendarDay(year, month, day)
}

/** A quoted date-time, as ISO 8601 in UTC. */
export function parseDateTime(args: Arguments): string {
  if (!args.next('"')) throw new ImapSyntaxError('Expected a date-time in quotes')
  const match = DATE_TIME.exec(args.string())
  if (!match) throw new ImapSyntaxError('Expected a date-time such as "17-Jul-1996 02:44:25 -0700"')
  const [, day = '', month = '', year = '', hours = '', minutes = '', seconds = '', sign, zoneHours, zoneMinutes] =
    match
  const zone = (sign === '-' ? -1 : 1) * (Number(zoneHours) * 60 + Number(zoneMinutes))
  // A leap second is the last second of its minute to everybody else.
  const local = `${calendarDay(year, month, day.trim())}T${hours}:${minutes}:${seconds === '60' ? '59' : seconds}.000Z`
  const time = new Date(local).getTime() - zone * 60_000
  const iso = Number.isNaN(time) ? '' : new Date(time).toISOString()
  // Years beyond four digits have no form here.
  if (iso.length !== 24 || Number(zoneMinutes) > 59) throw new ImapSyntaxError('There is no such date-time')
  return iso
}

/**
 * INTERNALDATE of a moment in milliseconds since 1970, quoted, in UTC — RFC 9051 §2.3.3. Before a day of one digit may be a blank or a
 * zero (date-day-fixed); in Dovecot it is a zero.
 */
export function formatDateTime(time: number): string {
  const date = new Date(time)
  const two = (number: number): string => (number < 10 ? `0${number}` : String(number))
  const month = MONTHS[date.getUTCMonth()] ?? 'Jan'
  const year = String(date.getUTCFullYear()).padStart(4, '0')
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
  return `"${two(date.getUTCDate())}-${month}-${year} ${clock} +0000"`
}

function calendarDay(year: string, month: string, day: string): string {
  const index = MONTHS.findIndex((name) => name.toUpperCase() === month.toUpperCase())
  const iso = `${year}-${String(index + 1).padStart(2, '0')}-${day.padStart(2, '0')}`
  const date = new Date(`${iso}T00:00:00.000Z`)
  // 31-Feb would roll over into March.
  if (index < 0 || year === '0000' || Number.isNaN(date.getTime()) || !date.toISOString().startsWith(iso))
    throw new ImapSyntaxError('There is no such date')
  return iso
}
