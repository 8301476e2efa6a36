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

import type { Content, Decode, Written } from './fetch-plan.ts'

type Bytes = Extract<Content, { kind: 'inline' | 'blob' }>

/** An answer without literals: thousands of them follow each other, and nothing is waited for. */
export function writePlainFetch(out: Output, number: number, parts: readonly Written[]): void {
  out.writeOctets(`* ${number} FETCH (${parts.map(({ text }) => text).join(' ')})\r\n`)
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
  for (const [at, { text, content, binary }] of parts.entries()) {
    out.writeOctets(at === 0 ? text : ` ${text}`)
    if (content) await writeLiteral(out, content, opened.get(content) ?? chunksOf(blobs, content), binary)
  }
  out.writeOctets(')\r\n')
}

/** The first large section is read from before anything is said of it: that is when a store that is away shows. */
async function openFirst(
  blobs: Pick<Blobs, 'read'>,
  parts: readonly Written[],
): Promise<Map<Bytes, AsyncIterable<Uint8Array>>> {
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

async function* chunksOf(blobs: Pick<Blobs, 'read'>, content: Bytes): AsyncGenerator<Uint8Array> {
  if (content.kind === 'inline') return yield content.bytes
  yield content.lead
  if (content.length > 0) yield* blobOctets(blobs, content)
}

type InBlob = Extract<Content, { kind: 'blob' }>

function blobOctets(blobs: Pick<Blobs, 'read'>, { blob, offset, length, decode }: InBlob): AsyncIterable<Uint8Array> {
  const octets = blobs.read(blob, { offset, length })
  return decode === undefined ? octets : decoded(octets, decode)
}

async function* decoded(octets: AsyncIterable<Uint8Array>, { encoding, first, count }: Decode): AsyncGenerator<Buffer> {
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

function lengthOf(content: Bytes): number {
  if (content.kind === 'inline') return content.bytes.length
  return content.lead.length + (content.decode?.count ?? content.length)
}

async function writeLiteral(
  out: Output,
  content: Bytes,
  chunks: AsyncIterable<Uint8Array>,
  binary = false,
): Promise<void> {
  const announced = lengthOf(content)
  // Whether there is NUL in what is still to be read is not known.
  const eight = binary && (content.kind === 'blob' || content.bytes.includes(NUL))
  out.writeOctets(`${eight ? '~' : ''}${literalHeader(announced)}`)
  let missing = announced
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

const NUL = 0
const REPLACEMENT = 0x80

/** A literal cannot carry NUL, and its length must stay — RFC 9051 §4.3.1 (CHAR8); the octet is the one Dovecot uses. */
function withoutNul(chunk: Uint8Array): Uint8Array {
  return chunk.includes(NUL) ? chunk.map((octet) => (octet === NUL ? REPLACEMENT : octet)) : chunk
}
