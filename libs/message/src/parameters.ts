/**
 * The structured MIME fields: Content-Type, Content-Disposition, Content-Transfer-Encoding, Content-Language.
 *
 * Parameters are given as IMAP shows them: continuations joined, extended values still encoded under a name with `*`
 * (RFC 2231); `decodeParameter` is for people. Broken input gives what could be read, as Dovecot does: a parameter that
 * cannot be read is left out and reading goes on after the next semicolon.
 *
 * STANDARDS  RFC 2045 §5.1, §6.1; RFC 2183 §2; RFC 2231 §3, §4; RFC 3282 §2
 */
import { decodeCharset } from './charset.ts'
import { octetsOf } from './octets.ts'
import { Scanner } from './scan.ts'

/** Name as written and value, in the order IMAP shows them; a name may come twice. */
export type Parameters = [name: string, value: string][]

export interface ContentType {
  /** As written; both '' if the field could not be read. */
  type: string
  subtype: string
  params: Parameters
}

export interface Disposition {
  type: string
  params: Parameters
}

/** A header names at most this many parameters; sorting continuations is the only step above linear. */
const MAX_PARAMETERS = 1000

export function parseContentType(value: string): ContentType {
  const unreadable: ContentType = { type: '', subtype: '', params: [] }
  const scanner = new Scanner(value)
  if (!scanner.skip()) return unreadable
  const type = scanner.token()
  if (type === '' || !scanner.skip()) return unreadable
  if (scanner.ended) return { type, subtype: '', params: [] }
  if (!scanner.take('/') || !scanner.skip()) return unreadable
  const subtype = scanner.token()
  if (subtype === '' || !scanner.skip()) return unreadable
  if (!scanner.ended && scanner.peek() !== ';') return unreadable
  return { type, subtype, params: readParameters(scanner) }
}

/** Undefined if a comment after the type is not closed. */
export function parseDisposition(value: string): Disposition | undefined {
  const scanner = new Scanner(value)
  scanner.skip()
  const type = scanner.token()
  return scanner.skip() ? { type, params: readParameters(scanner) } : undefined
}

/** Undefined unless the field is one token — RFC 2045 §6.1. */
export function parseTransferEncoding(value: string): string | undefined {
  const scanner = new Scanner(value)
  scanner.skip()
  const token = scanner.token()
  return token !== '' && scanner.skip() && scanner.ended ? token : undefined
}

/**
 * How a body is to be decoded by its Content-Transfer-Encoding, which is shown only if it is one token: here a semicolon may follow, as
 * in Dovecot. '' of anything else.
 */
export function parseDecoding(value: string): string {
  const scanner = new Scanner(value)
  scanner.skip()
  const token = scanner.token()
  scanner.skip()
  return scanner.ended || scanner.peek() === ';' ? token : ''
}

/** Language tags up to the first that is none. RFC 3282 §2 has letters, digits and dashes in them; here they are atoms, as in Dovecot. */
export function parseLanguages(value: string): string[] {
  const scanner = new Scanner(value)
  const languages: string[] = []
  do {
    scanner.skip()
    const tag = scanner.atom()
    if (tag === '' || !scanner.skip()) break
    languages.push(tag)
  } while (scanner.take(','))
  return languages
}

/** The first parameter of that name, without regard to case. */
export function parameter(params: Parameters, name: string): string | undefined {
  const wanted = name.toLowerCase()
  return params.find(([candidate]) => candidate.toLowerCase() === wanted)?.[1]
}

/** A parameter as text for people: the extended form first (RFC 2231 §4), otherwise the plain one as it stands. */
export function decodeParameter(params: Parameters, name: string): string | undefined {
  const extended = parameter(params, `${name}*`)
  if (extended === undefined) return parameter(params, name)
  const charset = extended.indexOf("'")
  const language = extended.indexOf("'", charset + 1)
  if (charset < 0 || language < 0) return decodePercent(extended).toString('utf8')
  return decodeCharset(decodePercent(extended.slice(language + 1)), extended.slice(0, charset) || 'us-ascii')
}

function decodePercent(value: string): Buffer {
  return octetsOf(value.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))))
}

interface Segment {
  base: string
  index: number
  extended: boolean
  value: string
}

function readParameters(scanner: Scanner): Parameters {
  const params: Parameters = []
  const segments: Segment[] = []
  while (!scanner.ended && params.length + segments.length < MAX_PARAMETERS) {
    const found = readParameter(scanner)
    if (found === undefined) {
      const semicolon = scanner.text.indexOf(';', scanner.at)
      if (semicolon < 0) break
      scanner.at = semicolon
      continue
    }
    const segment = segmentOf(found.name, found.value)
    if (segment === undefined) params.push([found.name, found.value])
    else segments.push(segment)
  }
  return segments.length === 0 ? params : [...params, ...joinSegments(segments)]
}

/** `; name = value`. On failure the position is past what was read, so that a second semicolon is not read as a first. */
function readParameter(scanner: Scanner): { name: string; value: string } | undefined {
  if (!scanner.take(';') || !scanner.skip()) return undefined
  const name = scanner.token()
  if (!scanner.skip() || !scanner.take('=')) {
    scanner.at++
    return undefined
  }
  if (!scanner.skip()) return undefined
  const value = readValue(scanner)
  if (value === undefined || !scanner.skip()) return undefined
  return { name, value }
}

function readValue(scanner: Scanner): string | undefined {
  if (scanner.peek() === '"') return scanner.quotedString()
  if (!scanner.text.startsWith('=?', scanner.at)) return scanner.token()
  // An encoded word has no place here (RFC 2047 §5), but it is common, and no token.
  const start = scanner.at
  while (!scanner.ended && !' \t\r\n;"'.includes(scanner.peek())) scanner.at++
  return scanner.text.slice(start, scanner.at)
}

/** RFC 2231 §3: `name*0`, `name*0*`; §4: `name*`. Others are ordinary parameters. */
function segmentOf(name: string, value: string): Segment | undefined {
  const star = name.indexOf('*')
  if (star < 0) return undefined
  const rest = name.slice(star + 1)
  if (rest === '') return { base: name.slice(0, star), index: 0, extended: true, value }
  const digits = /^([0-9]{1,9})(\*?)$/.exec(rest)
  if (digits === null) return undefined
  return { base: name.slice(0, star), index: Number(digits[1]), extended: digits[2] === '*', value }
}

/** Segments of one name are joined if they count up from 0; otherwise each is shown. */
function joinSegments(segments: Segment[]): Parameters {
  segments.sort((a, b) => (a.base < b.base ? -1 : a.base > b.base ? 1 : a.index - b.index))
  const joined: Parameters = []
  for (let from = 0; from < segments.length;) {
    const first = segments[from]
    if (first === undefined) break
    let to = from + 1
    while (segments[to]?.base.toLowerCase() === first.base.toLowerCase()) to++
    const run = segments.slice(from, to)
    if (run.every((segment, position) => segment.index === position)) joined.push(join(first, run))
    else for (const segment of run) joined.push([numbered(segment), segment.value])
    from = to
  }
  return joined
}

/** As Dovecot shows a segment that is not joined: `name*` is the first of its name, and no number has needless zeros. */
function numbered({ base, index, extended }: Segment): string {
  return `${base}*${index}${extended ? '*' : ''}`
}

function join(first: Segment, run: Segment[]): [string, string] {
  if (!run.some((segment) => segment.extended)) return [first.base, run.map((segment) => segment.value).join('')]
  // Plain segments of an extended value are not percent-decoded by their reader, so a percent sign must survive that.
  const value = run.map((segment) => (segment.extended ? segment.value : segment.value.replaceAll('%', '%25'))).join('')
  return [`${first.base}*`, first.extended ? value : `''${value}`]
}
