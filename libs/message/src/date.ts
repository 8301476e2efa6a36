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

/** Undefined if the value is no date. The day of the week is not looked at; a missing zone is UTC. */
export function parseDate(value: string): HeaderDate | undefined {
  const words = dateWords(value)
  if (words === undefined) return undefined
  if (/^[a-z]/i.test(words[0] ?? '')) words.shift()
  const [dayWord = '', monthWord = '', yearWord = '', ...rest] = words
  const day = number(dayWord, 1, 2)
  const month = MONTHS.findIndex((name) => name.toLowerCase() === monthWord.slice(0, 3).toLowerCase())
  const year = number(yearWord, 2, 4)
  if (day === undefined || month < 0 || year === undefined) return undefined
  const clock = parseClock(rest)
  if (clock === undefined) return undefined
  const { hours, minutes, seconds, offset } = clock
  const fullYear = yearWord.length === 4 ? year : yearWord.length === 3 || year >= 50 ? year + 1900 : year + 2000
  const calendar = new Date(0)
  calendar.setUTCFullYear(fullYear, month, day)
  if (calendar.getUTCDate() !== day) return undefined
  const midnight = calendar.getTime()
  // A leap second is the second after it: JavaScript has no 60th.
  const time = new Date(midnight + ((hours * 60 + minutes - offset) * 60 + seconds) * 1000)
  return { time, offset, day: calendar.toISOString().slice(0, 10) }
}

/** The words between blanks, commas, colons and comments; the colons of the time are kept as words. */
function dateWords(value: string): string[] | undefined {
  const scanner = new Scanner(value)
  const words: string[] = []
  while (scanner.skip() && !scanner.ended) {
    if (scanner.take(',')) continue
    const word = scanner.take(':') ? ':' : scanner.atom()
    // Longest: Mon 7 Feb 1994 21 : 52 : 25 -0800, and some add the zone's name. What follows is not looked at.
    if (word === '' || words.length > 12) break
    words.push(word)
  }
  return words.length < 3 ? undefined : words
}

function parseClock(words: string[]): { hours: number; minutes: number; seconds: number; offset: number } | undefined {
  const hours = number(words[0] ?? '0', 1, 2)
  let at = 1
  const part = (): number | undefined => {
    if (words[at] !== ':') return 0
    at += 2
    return number(words[at - 1] ?? '', 1, 2)
  }
  const minutes = part()
  const seconds = part()
  if (hours === undefined || minutes === undefined || seconds === undefined) return undefined
  if (hours > 23 || minutes > 59 || seconds > 60) return undefined
  return { hours, minutes, seconds, offset: parseZone(words[at] ?? '') }
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

function number(word: string, least: number, most: number): number | undefined {
  return word.length >= least && word.length <= most && /^[0-9]+$/.test(word) ? Number(word) : undefined
}
