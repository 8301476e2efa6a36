/** The header of a message that is still arriving: read as far as it goes, the rest left to be streamed. */
import { headerEnd } from '@postbus/message'
import { SmtpError } from '@postbus/smtp'

export interface Arriving {
  /** Up to and with the empty line; everything, when there is none. */
  header: Buffer
  /** What was read beyond the header, and then the rest. */
  rest: AsyncIterable<Uint8Array>
}

/** An empty line may begin in the three octets before a chunk. */
const OVERLAP = 3

/** @throws SmtpError when the header is longer than `maxBytes` */
export async function readHeader(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Arriving> {
  const chunks = body[Symbol.asyncIterator]()
  let read = Buffer.alloc(0)
  for (;;) {
    const { value, done } = await chunks.next()
    if (done) return { header: read, rest: rest(Buffer.alloc(0), chunks) }
    const from = Math.max(0, read.length - OVERLAP)
    read = Buffer.concat([read, value])
    const end = startsEmpty(read) ? 2 : headerEnd(read, from)
    if (end !== -1) return { header: read.subarray(0, end), rest: rest(read.subarray(end), chunks) }
    if (read.length > maxBytes) {
      await chunks.return?.()
      throw new SmtpError(552, '5.3.4', 'The header of this message is too large')
    }
  }
}

/** A message without header fields. */
const startsEmpty = (bytes: Uint8Array): boolean => bytes[0] === 0x0d && bytes[1] === 0x0a

async function* rest(first: Uint8Array, chunks: AsyncIterator<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    if (first.length > 0) yield first
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
  } finally {
    await chunks.return?.()
  }
}
