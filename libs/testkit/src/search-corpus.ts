/**
 * Messages to search in, and strings to search for: the same ones for the same seed. Texts of several scripts in every
 * transfer encoding and charset, folded and encoded headers, attachments and messages in messages.
 */

import { seeded } from './seeded.ts'

export interface SearchCorpus {
  messages: Buffer[]
  /** 1 to 30 characters out of decoded bodies and subjects, with their line ends, upper and lower case mixed. */
  substrings(count: number): { in: 'body' | 'text' | 'subject'; value: string }[]
}

type Random = (below: number) => number

export function searchCorpus(seed: number, count: number): SearchCorpus {
  const draw = seeded(seed)
  const random: Random = (below) => Math.floor(draw() * below)
  const made = Array.from({ length: count }, (_, number) => message(random, number))
  return {
    messages: made.map(({ octets }) => octets),
    substrings(wanted) {
      return Array.from({ length: wanted }, () => {
        const { subject, body } = pick(random, made)
        const where = pick(random, ['body', 'body', 'text', 'subject'] as const)
        const characters = [...(where === 'subject' ? subject : body)]
        const from = random(characters.length)
        const value = characters.slice(from, from + 1 + random(30)).join('')
        return { in: where, value: pick(random, [value, value, value.toUpperCase(), value.toLowerCase()]) }
      })
    },
  }
}

function pick<Item>(random: Random, from: readonly Item[]): Item {
  const item = from[random(from.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

const LATIN = 'the meeting about invoices will be moved to Friday morning because the train was late again'.split(' ')
const WESTERN = 'Grüße aus Köln déjà vu señor naïve Übermaß façade smørrebrød coöperate Ärger château élève'.split(' ')
const CYRILLIC = 'привет встреча завтра утром документ счёт письмо отправлено Москва здравствуйте объём'.split(' ')
const OTHER = 'αβγ Ωμέγα 漢字 会議 資料 カタカナ 한국어 עברית ไทย ﬁn ẞtraße İstanbul 😀 a̐éö̲ e\u0301'.split(' ')

interface Encoded {
  charset: 'utf-8' | 'iso-8859-1' | 'us-ascii'
  encoding: '7bit' | '8bit' | 'quoted-printable' | 'base64'
  octets: string
}

function text(random: Random, words: readonly string[], lines: number): string {
  let written = ''
  for (let line = 0; line < lines; line++) {
    const count = 1 + random(12)
    for (let word = 0; word < count; word++) written += `${word === 0 ? '' : ' '}${pick(random, words)}`
    written += `${random(4) === 0 ? random(100_000).toString(36) : ''}\r\n`
  }
  return written
}

/** Octets stand as characters U+0000–U+00FF. */
function encode(random: Random, of: string): Encoded {
  const ascii = /^[\0-\x7f]*$/.test(of)
  const charset = ascii ? 'us-ascii' : /^[\0-\xff]*$/.test(of) && random(2) === 0 ? 'iso-8859-1' : 'utf-8'
  const bytes = Buffer.from(of, charset === 'iso-8859-1' ? 'latin1' : 'utf8')
  const encoding = pick(random, ['quoted-printable', 'base64', ascii ? '7bit' : '8bit'] as const)
  const octets = {
    '7bit': () => bytes.toString('latin1'),
    '8bit': () => bytes.toString('latin1'),
    'quoted-printable': () => quotedPrintable(bytes),
    base64: () => `${(bytes.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n')}\r\n`,
  }[encoding]()
  return { charset, encoding, octets }
}

/** Soft breaks in the middle of words. */
function quotedPrintable(bytes: Buffer): string {
  let encoded = ''
  let column = 0
  for (const octet of bytes) {
    const character = String.fromCharCode(octet)
    const next = /[!-<>-~ \r\n]/.test(character) ? character : `=${octet.toString(16).toUpperCase().padStart(2, '0')}`
    if (column + next.length > 60 && character !== '\r' && character !== '\n') {
      encoded += '=\r\n'
      column = 0
    }
    encoded += next
    column = character === '\n' ? 0 : column + next.length
  }
  return encoded
}

function encodedWords(words: string): string {
  return words
    .split(' ')
    .map((word, index) => `=?utf-8?b?${Buffer.from(index === 0 ? word : ` ${word}`).toString('base64')}?=`)
    .join('\r\n ')
}

function part(random: Random, of: string): string {
  const { charset, encoding, octets } = encode(random, of)
  const type = random(4) === 0 ? 'text/html' : 'text/plain'
  return `Content-Type: ${type}; charset=${charset}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${octets}`
}

function message(random: Random, number: number): { octets: Buffer; subject: string; body: string } {
  const words = pick(random, [LATIN, WESTERN, CYRILLIC, OTHER, [...LATIN, ...WESTERN, ...OTHER]])
  const subject = text(random, words, 1).trim()
  const body = text(random, words, 1 + random(12))
  const ascii = /^[ -~]*$/.test(subject)
  let header = `From: "Sender ${number % 7}" <s${number % 7}@example.org>\r\nTo: ann@example.net\r\nMIME-Version: 1.0\r\n`
  header += `Subject: ${ascii ? subject.replaceAll(' the ', '\r\n the ') : encodedWords(subject)}\r\n`
  header += `Message-ID: <${number}.${random(1_000_000)}@example.org>\r\n`
  const boundary = `=_${random(1_000_000)}`
  const attachment = `Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n${Buffer.from(body).toString('base64').slice(0, 60)}\r\n`
  const whole = {
    single: () => header + part(random, body),
    alternatives: () =>
      `${header}Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\npreamble\r\n--${boundary}\r\n${part(random, body)}\r\n--${boundary}\r\n${part(random, text(random, LATIN, 2))}\r\n--${boundary}\r\n${attachment}--${boundary}--\r\n`,
    nested: () =>
      `${header}Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n--${boundary}\r\nContent-Type: message/rfc822\r\n\r\nSubject: ${encodedWords(text(random, words, 1).trim())}\r\n${part(random, body)}\r\n--${boundary}--\r\n`,
  }[pick(random, ['single', 'single', 'alternatives', 'nested'] as const)]()
  return { octets: Buffer.from(whole, 'latin1'), subject, body }
}
