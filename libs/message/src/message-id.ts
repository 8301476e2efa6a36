/**
 * Message identifiers, with their angle brackets.
 *
 * STANDARDS  RFC 5322 §3.6.4, §4.5.4
 */
import { Scanner } from './scan.ts'

/** At most this many identifiers are looked for in one field; References grow with a thread. */
const MAX_IDS = 1000

/** Unique if `random` (at least 10 octets) is; the time in front only helps a person who looks for it in a log. */
export function createMessageId(random: Uint8Array, time: Date, domain: string): string {
  const unique = Buffer.from(random).toString('hex')
  return `<${time.getTime().toString(36)}.${unique}@${domain}>`
}

/**
 * The identifiers of Message-ID, In-Reply-To and References. Phrases between them (obsolete, RFC 5322 §4.5.4), blanks and comments
 * in them are left out, and so are needless quotes: each has one spelling. What is broken is an identifier where Dovecot takes it for one.
 */
export function parseMessageIds(value: string): string[] {
  const ids: string[] = []
  let at = value.indexOf('<')
  for (let tries = 0; at >= 0 && tries < MAX_IDS; tries++) {
    const found = readMessageId(value.slice(at + 1, at + 1 + MAX_LENGTH))
    if (found !== undefined && found.id !== '') ids.push(`<${found.id}>`)
    at = value.indexOf('<', at + 1 + (found?.length ?? 0))
  }
  return ids
}

/** RFC 5322 §2.1.1: a line has 998 octets, and an identifier cannot be folded. */
const MAX_LENGTH = 998

/** What is longest in common: an identifier without quotes and comments. */
const PLAIN = /^[^>"(]*>/

/** @param text what follows `<`; `length`: as much of it as belongs to the identifier */
function readMessageId(text: string): { id: string; length: number } | undefined {
  const plain = PLAIN.exec(text)?.[0]
  if (plain !== undefined) return { id: plain.slice(0, -1).replaceAll(/[ \t\r\n]/g, ''), length: plain.length }
  const scanner = new Scanner(text)
  if (!scanner.skip()) return undefined
  const left = scanner.peek() === '"' ? quotedLeft(scanner) : dotAtom(scanner)
  if (left === undefined || !scanner.take('@') || !scanner.skip()) return undefined
  const right = scanner.peek() === '[' ? literal(scanner) : dotAtom(scanner)
  if (right === undefined || !scanner.take('>')) return undefined
  return { id: `${left}@${right}`, length: scanner.at }
}

const DOT_ATOM = /^[^\s"(),:;<>@[\\\]]+$/

function quotedLeft(scanner: Scanner): string | undefined {
  const text = scanner.quotedString()
  if (text === undefined || !scanner.skip()) return undefined
  return DOT_ATOM.test(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

function literal(scanner: Scanner): string | undefined {
  const text = scanner.domainLiteral()
  return text !== undefined && scanner.skip() ? text : undefined
}

/** RFC 5322 §4.4: blanks may stand around its dots. */
function dotAtom(scanner: Scanner): string | undefined {
  let text = ''
  for (;;) {
    const atom = scanner.atom()
    text += atom
    if (atom === '' || !scanner.skip()) return undefined
    if (!scanner.take('.')) return text
    text += '.'
    if (!scanner.skip()) return undefined
  }
}
