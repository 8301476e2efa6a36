/**
 * A message whose binary parts are put into base64, so that every reader can be shown it: those that know nothing of BINARY
 * cannot be sent NUL or bare line ends. Everything else passes as it is, with CRLF at the ends of its lines.
 *
 * STANDARDS  RFC 3516 §4.4; RFC 2045 §6.2
 */
import { transferEncoder } from './encode-transfer.ts'
import { asBuffer, fieldSpans } from './header.ts'
import { CrlfEncoder } from './line-ends.ts'
import { type MessagePart, type Range, sizeOf, walkParts } from './structure.ts'

/** A longer header is copied without a look inside; its part stays as it came. */
const MAX_HEADER = 1024 * 1024

export function hasBinaryParts(root: MessagePart): boolean {
  for (const part of walkParts(root)) if (isBinary(part)) return true
  return false
}

/** `chunks` are all octets of the message; `root` is its tree. One header and one chunk are in memory. */
export async function* encodeBinaryParts(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  root: MessagePart,
): AsyncGenerator<Uint8Array> {
  const jobs = jobsOf(root)
  let job = jobs.next()
  let offset = 0
  let lines = new CrlfEncoder()
  for await (const chunk of chunks) {
    const bytes = asBuffer(chunk)
    const end = offset + bytes.length
    let at = offset
    while (!job.done && job.value.range.start < end) {
      const { range, write } = job.value
      if (at < range.start) yield lines.write(bytes.subarray(at - offset, range.start - offset))
      at = Math.min(range.end, end)
      yield write(bytes.subarray(Math.max(range.start - offset, 0), at - offset))
      if (range.end > end) break
      yield job.value.end()
      lines = new CrlfEncoder()
      job = jobs.next()
    }
    if (at < end) yield lines.write(bytes.subarray(at - offset))
    offset = end
  }
}

interface Job {
  range: Range
  write(bytes: Buffer): Uint8Array
  end(): Uint8Array
}

/** In the order of the message: the header and the body of each binary part. */
function* jobsOf(root: MessagePart): Generator<Job> {
  for (const part of walkParts(root)) {
    if (!isBinary(part)) continue
    yield headerJob(part.header)
    const encoder = transferEncoder('base64')
    if (sizeOf(part.body) > 0)
      yield { range: part.body, write: (bytes) => encoder.write(bytes), end: () => encoder.end() }
  }
}

function isBinary({ encoding, parts, message, header }: MessagePart): boolean {
  return (
    encoding?.toLowerCase() === 'binary' && parts === undefined && message === undefined && sizeOf(header) <= MAX_HEADER
  )
}

const NOTHING = Buffer.alloc(0)

function headerJob(range: Range): Job {
  const kept: Buffer[] = []
  return {
    range,
    write(bytes) {
      // A copy: the caller may use its chunk again before the header is complete.
      kept.push(Buffer.from(bytes))
      return NOTHING
    },
    end: () => new CrlfEncoder().write(withBase64(Buffer.concat(kept))),
  }
}

function withBase64(header: Buffer): Buffer {
  const pieces: Buffer[] = []
  let from = 0
  for (const { start, nameEnd, end } of fieldSpans(header)) {
    if (header.toString('latin1', start, nameEnd).toLowerCase() !== 'content-transfer-encoding') continue
    pieces.push(header.subarray(from, start), Buffer.from('Content-Transfer-Encoding: base64\r\n'))
    from = end
  }
  return Buffer.concat([...pieces, header.subarray(from)])
}
