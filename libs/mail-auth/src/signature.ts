/**
 * DKIM signatures of one message: any number of keys, one pass over the body, nothing held but the header.
 *
 * Always rsa-sha256 or ed25519-sha256 and relaxed/relaxed. Never `l=`, which lets anybody append (RFC 6376 §8.2); no `x=`: mail
 * may wait for days, and a key that is retired ends its signatures better; no `i=`: the domain is what we answer for.
 *
 * STANDARDS  RFC 6376 §3.5, §3.7, §5; RFC 8301 §3.1; RFC 8463 §3
 */
import { createHash, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'

import { asBuffer, headerEnd, parseHeader } from '@postbus/message'

import type { SigningAlgorithm } from './key-pair.ts'
import { RelaxedBodyHash } from './relaxed-body.ts'
import { relaxedField } from './relaxed-header.ts'
import { signedFields } from './signed-fields.ts'

export interface SigningKey {
  /** The domain that signs: lower case, A-labels. */
  domain: string
  selector: string
  algorithm: SigningAlgorithm
  privateKey: KeyObject
}

export interface SigningOptions {
  /** Asked once, with the header and its empty line. Without a key nothing is signed, and the body is not read. */
  keysFor(header: Buffer): Promise<readonly SigningKey[]>
  /** The time the signatures name. */
  at: Date
}

/**
 * @param message as it will be sent, line ends CRLF; its header is held in memory
 * @returns a DKIM-Signature field per key, each ending with CRLF, to be put in front of the message; '' without a key
 * @throws what `message` and `keysFor` throw
 */
export async function signatureOf(
  message: AsyncIterable<Uint8Array>,
  { keysFor, at }: SigningOptions,
): Promise<string> {
  const chunks = message[Symbol.asyncIterator]()
  try {
    const { header, rest } = await readHeader(chunks)
    const keys = await keysFor(header)
    if (keys.length === 0) return ''
    const body = new RelaxedBodyHash()
    body.update(rest)
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) body.update(next.value)
    const bodyHash = body.digest()
    const signed = signedFields(parseHeader(header))
    const covered = signed.fields
      .map(({ start, end }) => `${relaxedField(header.toString('latin1', start, end))}\r\n`)
      .join('')
    const signatures = await Promise.all(keys.map((key) => signatureBy(key, { ...signed, covered, bodyHash, at })))
    return signatures.join('')
  } finally {
    await chunks.return?.()
  }
}

/** Up to and with the empty line; what was read beyond it is `rest`. A message without an empty line is all header. */
async function readHeader(chunks: AsyncIterator<Uint8Array>): Promise<{ header: Buffer; rest: Buffer }> {
  let read: Buffer = Buffer.alloc(0)
  let lineStart = 0
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
    // Mostly the first one holds it all.
    read = read.length === 0 ? asBuffer(next.value) : Buffer.concat([read, next.value])
    const end = headerEnd(read, lineStart)
    if (end >= 0) return { header: read.subarray(0, end), rest: read.subarray(end) }
    lineStart = read.lastIndexOf('\n') + 1
  }
  return { header: read, rest: Buffer.alloc(0) }
}

interface Signed {
  names: readonly string[]
  /** The canonical form of the fields that are signed. */
  covered: string
  bodyHash: string
  at: Date
}

async function signatureBy(
  { domain, selector, algorithm, privateKey }: SigningKey,
  { names, covered, bodyHash, at }: Signed,
): Promise<string> {
  const field =
    `DKIM-Signature: v=1; a=${algorithm}-sha256; c=relaxed/relaxed;\r\n` +
    `\td=${domain};\r\n\ts=${selector}; t=${Math.floor(at.getTime() / 1000)};\r\n` +
    `\t${fold(`h=${names.join(':')};`, /[^:]*:|[^:]+/g)}\r\n\tbh=${bodyHash};\r\n\tb=`
  // RFC 6376 §3.7: what is signed ends with this very field, its `b=` empty and no line end after it.
  const octets = Buffer.from(covered + relaxedField(field), 'latin1')
  const signature = await (algorithm === 'rsa'
    ? signWith('sha256', octets, privateKey)
    : // RFC 8463 §3: Ed25519 signs the hash.
      signWith(null, createHash('sha256').update(octets).digest(), privateKey))
  return `${field}${fold(signature.toString('base64'), /.{1,68}/g)}\r\n`
}

/** In a thread of the pool: an RSA signature takes a millisecond, and there are many. */
const signWith = promisify<string | null, Buffer, KeyObject, Buffer>(sign)

/** RFC 5322 §2.1.1: lines SHOULD be no longer than 78 characters; a tab begins each. */
const LINE_LENGTH = 70

function fold(text: string, pieces: RegExp): string {
  const lines = ['']
  for (const [piece] of text.matchAll(pieces)) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && line.length + piece.length > LINE_LENGTH) lines.push(piece)
    else lines[lines.length - 1] = line + piece
  }
  return lines.join('\r\n\t')
}
