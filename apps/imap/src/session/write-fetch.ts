/**
 * One FETCH response onto the wire, with its literals.
 *
 * A literal's announced length is always what is sent. Bytes that turn out to be missing in the middle of one end the
 * connection: nothing else can be told to a client that is counting octets.
 */
import type { Blobs } from '@postbus/blobs'

import type { Output } from '../output.ts'
import { ConnectionLost, unavailable } from '../reply.ts'
import { literalHeader } from '@postbus/imap-wire'

import type { Content, Written } from './fetch-plan.ts'

type Bytes = Exclude<Content, { kind: 'absent' }>

/** @throws ImapError when a blob cannot be read and nothing was written yet */
export async function writeFetch(
  out: Output,
  blobs: Pick<Blobs, 'read'>,
  number: number,
  parts: readonly Written[],
): Promise<void> {
  const opened = await openFirst(blobs, parts)
  out.write(`* ${number} FETCH (`)
  for (const [at, { text, encoding, content }] of parts.entries()) {
    out.write(Buffer.from(at === 0 ? text : ` ${text}`, encoding))
    if (content) await writeLiteral(out, content, opened.get(content) ?? chunksOf(blobs, content))
  }
  out.write(')\r\n')
  if (out.full) await out.room()
}

/** The first large section is read from before anything is said of it: that is when a store that is away shows. */
async function openFirst(
  blobs: Pick<Blobs, 'read'>,
  parts: readonly Written[],
): Promise<Map<Bytes, AsyncIterable<Uint8Array>>> {
  const content = parts.map((part) => part.content).find((content) => content?.kind === 'blob')
  if (content?.kind !== 'blob' || content.length === 0) return new Map()
  const chunks = blobs.read(content.blob, content)[Symbol.asyncIterator]()
  try {
    return new Map([[content, resumed(content.lead, chunks, await chunks.next())]])
  } catch (cause) {
    throw unavailable(cause)
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
  if (content.length > 0) yield* blobs.read(content.blob, content)
}

async function writeLiteral(out: Output, content: Bytes, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const announced = content.kind === 'inline' ? content.bytes.length : content.lead.length + content.length
  out.write(literalHeader(announced))
  let missing = announced
  try {
    for await (const chunk of chunks) {
      missing -= chunk.length
      if (missing < 0) break
      out.write(withoutNul(chunk))
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
