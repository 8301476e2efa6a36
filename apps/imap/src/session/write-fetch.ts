/**
 * One FETCH response onto the wire, with its literals.
 *
 * A literal's announced length is always what is sent. Bytes that turn out to be missing in the middle of one end the
 * connection: nothing else can be told to a client that is counting octets.
 */
import { NoSuchBlob, type Blobs } from '@postbus/blobs'
import { transferDecoder } from '@postbus/message'

import type { Output } from '../output.ts'
import { ConnectionLost, no, unavailable } from '../reply.ts'
import { literalHeader } from '@postbus/imap-wire'

import type { Content, Written } from './fetch-plan.ts'

/** Literals up to this are copied together with the text around them; longer ones are passed on as they are. */
const SHORT_LITERAL = 2048

/** Octets of a response's literals that are written without asking for room in between. */
const AT_HAND_BYTES = 64 * 1024

/** Whether a response can be written at once: no blob is read for it, and it is not long. */
export function isAtHand(parts: readonly Written[]): boolean {
  let octets = 0
  for (const { content } of parts) {
    if (content?.kind === 'blob') return false
    octets += content?.octets.length ?? 0
  }
  return octets <= AT_HAND_BYTES
}

/** A response that is at hand: thousands of them follow each other, and nothing is waited for. */
export function writeAtHand(out: Output, number: number, parts: readonly Written[]): void {
  let text = `* ${number} FETCH (`
  for (const { text: before, content, binary = false } of parts) {
    text += before
    if (content?.kind !== 'inline') continue
    const octets = binary ? content.octets : withoutNul(content.octets)
    text += announced(content, octets.length, binary)
    if (octets.length <= SHORT_LITERAL) {
      text += Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1')
      continue
    }
    out.writeOctets(text)
    out.write(octets)
    text = ''
  }
  out.writeOctets(`${text})\r\n`)
}

/** @throws ImapError when a blob cannot be read and nothing was written yet */
export async function writeFetch(
  out: Output,
  blobs: Pick<Blobs, 'read'>,
  number: number,
  parts: readonly Written[],
): Promise<void> {
  const opened = await openFirst(blobs, parts)
  out.writeOctets(`* ${number} FETCH (`)
  for (const { text, content, binary } of parts) {
    out.writeOctets(text)
    if (content) await writeLiteral(out, content, opened.get(content) ?? chunksOf(blobs, content), binary)
  }
  out.writeOctets(')\r\n')
}

/** The first large section is read from before anything is said of it: that is when a store that is away shows. */
async function openFirst(
  blobs: Pick<Blobs, 'read'>,
  parts: readonly Written[],
): Promise<Map<Content, AsyncIterable<Uint8Array>>> {
  const content = parts.map((part) => part.content).find((content) => content?.kind === 'blob')
  if (content?.kind !== 'blob' || content.length === 0) return new Map()
  const chunks = blobOctets(blobs, content)[Symbol.asyncIterator]()
  try {
    return new Map([[content, resumed(content.lead, chunks, await chunks.next())]])
  } catch (cause) {
    if (!(cause instanceof NoSuchBlob)) throw unavailable(cause)
    throw no('CORRUPTION', 'The octets of this message are gone', { cause })
  }
}

async function* resumed(
  lead: Uint8Array,
  chunks: AsyncIterator<Uint8Array>,
  first: IteratorResult<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield lead
    for (let chunk = first; !chunk.done; chunk = await chunks.next()) yield chunk.value
  } finally {
    await chunks.return?.()
  }
}

async function* chunksOf(blobs: Pick<Blobs, 'read'>, content: Content): AsyncGenerator<Uint8Array> {
  if (content.kind === 'inline') return yield content.octets
  yield content.lead
  if (content.length > 0) yield* blobOctets(blobs, content)
}

type InBlob = Extract<Content, { kind: 'blob' }>

function blobOctets(blobs: Pick<Blobs, 'read'>, { blob, offset, length, decode }: InBlob): AsyncIterable<Uint8Array> {
  const octets = blobs.read(blob, { offset, length })
  return decode === undefined ? octets : decoded(octets, decode)
}

async function* decoded(
  octets: AsyncIterable<Uint8Array>,
  { encoding, first, count }: NonNullable<InBlob['decode']>,
): AsyncGenerator<Buffer> {
  const decoder = transferDecoder(encoding)
  let skip = first
  let missing = count
  const cut = (bytes: Buffer): Buffer => {
    const wanted = bytes.subarray(skip, skip + missing)
    skip = Math.max(skip - bytes.length, 0)
    missing -= wanted.length
    return wanted
  }
  for await (const chunk of octets) {
    yield cut(decoder.write(Buffer.from(chunk)))
    if (missing === 0) return
  }
  yield cut(decoder.end())
}

function lengthOf(content: Content): number {
  if (content.kind === 'inline') return content.octets.length
  return content.lead.length + (content.decode?.count ?? content.length)
}

async function writeLiteral(
  out: Output,
  content: Content,
  chunks: AsyncIterable<Uint8Array>,
  binary = false,
): Promise<void> {
  let missing = lengthOf(content)
  out.writeOctets(announced(content, missing, binary))
  try {
    for await (const chunk of chunks) {
      missing -= chunk.length
      if (missing < 0) break
      out.write(binary ? chunk : withoutNul(chunk))
      if (out.full) await out.room()
    }
  } catch (cause) {
    throw cause instanceof ConnectionLost ? cause : new ConnectionLost('a blob broke off inside a literal', { cause })
  }
  if (missing !== 0) throw new ConnectionLost(`a blob differs from its announced length by ${-missing} octets`)
}

function announced(content: Content, length: number, binary: boolean): string {
  // Whether there is NUL in what is still to be read is not known.
  const eight = binary && (content.kind === 'blob' || content.octets.includes(NUL))
  return `${eight ? '~' : ''}${literalHeader(length)}`
}

const NUL = 0
const REPLACEMENT = 0x80
const [NUL_TEXT, REPLACEMENT_TEXT] = [String.fromCharCode(NUL), String.fromCharCode(REPLACEMENT)]

/** A literal cannot carry NUL, and its length must stay — RFC 9051 §4.3.1 (CHAR8); the octet is the one Dovecot uses. */
function withoutNul(chunk: Uint8Array): Uint8Array {
  return chunk.includes(NUL) ? chunk.map((octet) => (octet === NUL ? REPLACEMENT : octet)) : chunk
}

/** The literal of octets that are given as text, one character per octet. */
export const textLiteral = (octets: string): string =>
  `${literalHeader(octets.length)}${octets.replaceAll(NUL_TEXT, REPLACEMENT_TEXT)}`
