/** The header of a message that is still arriving: read as far as it goes, the rest left to be streamed. */
import { SmtpError } from '@postbus/smtp'

export interface Arriving {
  /** Up to and with the empty line; everything, when there is none. */
  header: Buffer
  /** What was read beyond the header, and then the rest. */
  rest: AsyncIterable<Uint8Array>
  /** The rest is not wanted. */
  discard(): Promise<void>
}

const CR = 0x0d
const LF = 0x0a
const FIRST_SIZE = 8 * 1024

/** Linear in the header's length, however small the pieces. @throws SmtpError when it is longer than `maxBytes` */
export async function readHeader(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Arriving> {
  const chunks = body[Symbol.asyncIterator]()
  const discard = async (): Promise<void> => void (await chunks.return?.())
  let held = Buffer.allocUnsafe(FIRST_SIZE)
  let length = 0
  let lineStart = 0
  for (;;) {
    const { value, done } = await chunks.next()
    if (done) return { header: held.subarray(0, length), rest: rest(Buffer.alloc(0), chunks), discard }
    if (length + value.length > held.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * held.length, length + value.length))
      held.copy(larger, 0, 0, length)
      held = larger
    }
    held.set(value, length)
    let at = held.subarray(0, length + value.length).indexOf(LF, length)
    length += value.length
    for (; at !== -1; at = held.subarray(0, length).indexOf(LF, lineStart)) {
      const empty = at === lineStart || (at === lineStart + 1 && held[lineStart] === CR)
      lineStart = at + 1
      if (!empty) continue
      return { header: held.subarray(0, lineStart), rest: rest(held.subarray(lineStart, length), chunks), discard }
    }
    if (length > maxBytes) {
      await discard()
      throw new SmtpError(552, '5.3.4', 'The header of this message is too large')
    }
  }
}

async function* rest(first: Uint8Array, chunks: AsyncIterator<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    if (first.length > 0) yield first
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
  } finally {
    await chunks.return?.()
  }
}
