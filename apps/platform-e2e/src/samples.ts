/** Messages that ordinary software writes and careless software damages, and what must be left of them after a journey. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'

export interface Sample {
  name: string
  bytes: Buffer
}

const KIB = 1024
/** RFC 5321 §4.5.3.1.6: 1000 octets with CRLF. */
const LONGEST_LINE = 998

export function samples(): Sample[] {
  const attachment = base64Lines(randomBytes(20 * KIB))
  const bodies: Record<string, [fields: string, body: string]> = {
    plain: [
      text('us-ascii', '7bit'),
      'Hello Jones,\r\n\r\n  two spaces, a tab\tand trailing blanks   \r\n-- \r\nSmith\r\n',
    ],
    attachment: [
      'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_bound"',
      `preamble\r\n--=_bound\r\n${text('utf-8', '8bit')}\r\n\r\nSee the file. — Smith\r\n--=_bound\r\n` +
        'Content-Type: application/octet-stream; name="data.bin"\r\nContent-Transfer-Encoding: base64\r\n' +
        `Content-Disposition: attachment; filename="data.bin"\r\n\r\n${attachment}--=_bound--\r\nepilogue\r\n`,
    ],
    eightbit: [text('utf-8', '8bit'), 'Grüße aus Köln, žluťoučký kůň, 日本語\r\n'],
    latin1: [text('iso-8859-1', '8bit'), 'caf\u00e9\r\n'],
    'long-lines': [text('us-ascii', '7bit'), `${'x'.repeat(LONGEST_LINE)}\r\n${'word '.repeat(199)}\r\n`],
    dots: [text('us-ascii', '7bit'), '.\r\n..\r\n.leading\r\n...\r\nmiddle . dot\r\n. \r\n.\r\n'],
    'from-lines': [text('us-ascii', '7bit'), 'From the start\r\n>From quoted\r\n\r\nFrom here on\r\n'],
    empty: [text('us-ascii', '7bit'), ''],
    large: [text('us-ascii', '7bit'), base64Lines(randomBytes(225 * KIB))],
    huge: [text('us-ascii', '7bit'), base64Lines(randomBytes(2300 * KIB))],
  }
  return Object.entries(bodies).map(([name, [fields, body]]) => ({
    name,
    bytes: Buffer.from(
      `From: Smith <smith@example.org>\r\nTo: jones@example.org\r\nSubject: sample ${name}\r\n` +
        `Date: Tue, 24 Nov 2026 03:00:00 +0000\r\nMessage-ID: <${name}@samples.example.org>\r\n${fields}\r\n\r\n${body}`,
      name === 'latin1' ? 'latin1' : 'utf8',
    ),
  }))
}

const text = (charset: string, encoding: string): string =>
  `MIME-Version: 1.0\r\nContent-Type: text/plain; charset=${charset}\r\nContent-Transfer-Encoding: ${encoding}`

export const base64Lines = (bytes: Buffer): string => bytes.toString('base64').replace(/.{1,76}/g, '$&\r\n')

/** What a client keeps with bare LF on disk, as it went over the wire. */
export const withCrlf = (bytes: Buffer): Buffer =>
  Buffer.from(bytes.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1')

export function nameOf(received: Buffer): string {
  const header = received.subarray(0, received.indexOf('\r\n\r\n') + 2).toString('latin1')
  return /^Message-ID: <([^@>]*)@samples\.example\.org>\r$/im.exec(header)?.[1] ?? assert.fail(`no sample:\n${header}`)
}

/** Every sample is there once; of each, every byte, and in front nothing but trace fields (RFC 5321 §4.4, RFC 9228). */
export function assertIntact(received: readonly Buffer[], expected: readonly Sample[]): void {
  assert.deepEqual(received.map(nameOf).toSorted(), expected.map(({ name }) => name).toSorted())
  for (const message of received) {
    const name = nameOf(message)
    const { bytes } = expected.find((sample) => sample.name === name) ?? assert.fail(name)
    const front = message.subarray(0, message.length - bytes.length).toString('latin1')
    assert.ok(message.subarray(front.length).equals(bytes), `${name} was changed:\n${difference(message, bytes)}`)
    assert.match(front, /^(?:(?:Return-Path|Delivered-To|Received): .*\r\n(?:[ \t].*\r\n)*)*$/, `${name}:\n${front}`)
  }
}

/** Around the first byte that differs, counted from the end of the shorter header. */
function difference(received: Buffer, sent: Buffer): string {
  const from = Math.max(received.length - sent.length, 0)
  const at = sent.findIndex((byte, index) => byte !== received[from + index])
  const shown = (bytes: Buffer): string =>
    JSON.stringify(bytes.subarray(Math.max(at - 40, 0), at + 80).toString('latin1'))
  return `${received.length} bytes for ${sent.length}; byte ${at}:\n${shown(received.subarray(from))}\n${shown(sent)}`
}
