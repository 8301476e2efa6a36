/**
 * Dates of header fields.
 *
 * STANDARDS  RFC 5322 §3.3, §4.3 (obsolete zones and years)
 */
import { Scanner } from './scan.ts'

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Hours from UTC. RFC 5322 §4.3: other letters say nothing, because RFC 822 had their signs wrong. */
const ZONES: Record<string, number> = {
  ut: 0,
  gmt: 0,
  est: -5,
  edt: -4,
  cst: -6,
  cdt: -5,
  mst: -7,
  mdt: -6,
  pst: -8,
  pdt: -7,
}

export interface HeaderDate {
  time: Date
  /** Minutes east of UTC. */
  offset: number
  /** The day the author wrote, `YYYY-MM-DD`: what IMAP's SENTON compares, whatever the zone — RFC 9051 §6.4.4. */
  day: string
}

/** `Mon, 07 Feb 1994 21:52:25 +0000` */
export function formatDate(time: Date, offset = 0): string {
  const local = new Date(time.getTime() + offset * 60_000)
  const day = `${DAYS[local.getUTCDay()]}, ${two(local.getUTCDate())} ${MONTHS[local.getUTCMonth()]}`
  const clock = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())}`
  const minutes = Math.abs(offset)
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`
  return `${day} ${String(local.getUTCFullYear()).padStart(4, '0')} ${clock} ${zone}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/**
 * Undefined if the value is no date. The day of the week is not looked at; a missing or unknown zone is UTC, a missing time midnight
 * (RFC 5256 §2.2). What RFC 5322 does not allow is a date where Dovecot takes it for one: dots in the time, an hour of one digit.
 */
export function parseDate(value: string): HeaderDate | undefined {
  const scanner = new Scanner(value)
  scanner.skip()
  let dayWord = nextWord(scanner)
  if (dayWord?.length === DAY_NAME) {
    if (!scanner.take(',')) return undefined
    scanner.skip()
    dayWord = nextWord(scanner)
  }
  const monthWord = nextWord(scanner)
  const yearWord = nextWord(scanner) ?? ''
  const day = number(dayWord, 1, 2)
  const month = MONTHS.findIndex((name) => name.toLowerCase() === monthWord?.slice(0, 3).toLowerCase())
  const year = fullYear(yearWord)
  if (day === undefined || month < 0 || year === undefined) return undefined
  const clock = parseClock(scanner)
  if (clock === undefined) return undefined
  const { hours, minutes, seconds, offset } = clock
  const calendar = new Date(0)
  calendar.setUTCFullYear(year, month, day)
  if (calendar.getUTCDate() !== day) return undefined
  const midnight = calendar.getTime()
  // A leap second is the second after it: JavaScript has no 60th.
  const time = new Date(midnight + ((hours * 60 + minutes - offset) * 60 + seconds) * 1000)
  return { time, offset, day: calendar.toISOString().slice(0, 10) }
}

const DAY_NAME = 3

/** Undefined if there is none here, or a comment behind it is not closed. */
function nextWord(scanner: Scanner): string | undefined {
  const word = scanner.atom()
  return scanner.skip() && word !== '' ? word : undefined
}

/** RFC 5322 §3.3: not before 1900; §4.3: years of two and three digits. */
function fullYear(word: string): number | undefined {
  const year = number(word, 2, 4)
  if (year === undefined || word.length === 4) return year !== undefined && year >= 1900 ? year : undefined
  return word.length === 3 || year >= 50 ? year + 1900 : year + 2000
}

const MIDNIGHT = { hours: 0, minutes: 0, seconds: 0, offset: 0 }

function parseClock(scanner: Scanner): typeof MIDNIGHT | undefined {
  if (scanner.ended) return MIDNIGHT
  const hours = number(nextWord(scanner), 1, 2)
  const minutes = nextPart(scanner)
  const seconds = '.:'.includes(scanner.peek()) && !scanner.ended ? nextPart(scanner) : 0
  if (hours === undefined || minutes === undefined || seconds === undefined) return undefined
  if (hours > 23 || minutes > 59 || seconds > 60) return undefined
  if (scanner.ended) return { hours, minutes, seconds, offset: 0 }
  const zone = nextWord(scanner)
  return zone === undefined ? undefined : { hours, minutes, seconds, offset: parseZone(zone) }
}

/** What follows a colon of the time. */
function nextPart(scanner: Scanner): number | undefined {
  if (!scanner.take(':') && !scanner.take('.')) return undefined
  scanner.skip()
  return number(nextWord(scanner), 2, 2)
}

function parseZone(word: string): number {
  const [, sign, hours, minutes] = /^([+-])([0-9]{2})([0-9]{2})$/.exec(word) ?? []
  if (sign === undefined) {
    const name = word.toLowerCase()
    return Object.hasOwn(ZONES, name) ? (ZONES[name] ?? 0) * 60 : 0
  }
  const offset = Number(hours) * 60 + Number(minutes)
  return sign === '-' && offset !== 0 ? -offset : offset
}

function number(word: string | undefined, least: number, most: number): number | undefined {
  if (word === undefined) return undefined
  return word.length >= least && word.length <= most && /^[0-9]+$/.test(word) ? Number(word) : undefined
}
