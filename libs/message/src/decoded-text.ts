/**
 * The text of a message as a reader sees it, piece by piece as the octets pass by: header fields with their encoded words
 * decoded, and the parts that are text, freed from transfer encoding and charset. One header and one chunk are in memory.
 *
 * STANDARDS  RFC 2045, 2046 §4.1, 2047; RFC 9051 §6.4.4 (what SEARCH looks at)
 */
import { charsetDecoder, type CharsetDecoder } from './charset.ts'
import { decodeWords } from './encoded-words.ts'
import { asBuffer, fieldSpans } from './header.ts'
import { parameter, parseTransferEncoding } from './parameters.ts'
import { type MessagePart, mediaTypeOf, type Range, walkParts } from './structure.ts'
import { type TransferDecoder, transferDecoder } from './transfer.ts'

export interface TextPiece {
  /** `header`: of the message itself; `mime`: of a part inside it; `body`: of a text part. */
  of: 'header' | 'mime' | 'body'
  part: MessagePart
  /** A whole header as lines `Name: value`, or some of a body; pieces of one body follow each other. */
  text: string
}

/** More of one header is not looked at. */
const MAX_HEADER = 1024 * 1024

/** `chunks` are all octets of the message; `root` is its tree. Without `headers` there are pieces of bodies only. */
export async function* decodedText(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  root: MessagePart,
  { headers = true }: { headers?: boolean } = {},
): AsyncGenerator<TextPiece> {
  const jobs = jobsOf(root, headers)
  let job = jobs.next()
  let offset = 0
  for await (const chunk of chunks) {
    const bytes = asBuffer(chunk)
    const end = offset + bytes.length
    while (!job.done && job.value.range.start < end) {
      const { range } = job.value
      yield* job.value.write(bytes.subarray(Math.max(0, range.start - offset), range.end - offset))
      if (range.end > end) break
      yield* job.value.end()
      job = jobs.next()
    }
    offset = end
  }
  // The message was shorter than its tree says, or its last parts are empty.
  for (; !job.done; job = jobs.next()) yield* job.value.end()
}

interface Job {
  range: Range
  write(bytes: Buffer): TextPiece[]
  end(): TextPiece[]
}

/** In the order of the message and without overlap: each header and each text body. */
function* jobsOf(root: MessagePart, headers: boolean): Generator<Job> {
  for (const part of walkParts(root)) {
    const header = headerJob(part, part === root ? 'header' : 'mime', headers)
    yield header
    // As Dovecot: also a message that is not MIME by its header is read by the encoding it names.
    const encoding = part.encoding ?? header.encoding()
    if (part.parts === undefined && part.message === undefined && isText(part, encoding)) yield bodyJob(part, encoding)
  }
}

const READABLE = new Set(['7bit', '8bit', 'binary', 'quoted-printable', 'base64'])

/** As Dovecot: message/delivery-status and the like are read, images, applications and unknown encodings are not. */
function isText(part: MessagePart, encoding = '7bit'): boolean {
  const { type } = mediaTypeOf(part)
  return (type === 'text' || type === 'message') && READABLE.has(encoding.toLowerCase())
}

interface HeaderJob extends Job {
  /** Content-Transfer-Encoding, once the header of a part that is not MIME has passed by. */
  encoding(): string | undefined
}

/** @param isTold whether the header is a piece of the text */
function headerJob(part: MessagePart, of: 'header' | 'mime', isTold: boolean): HeaderJob {
  const isKept = isTold || part.encoding === undefined
  const kept: Buffer[] = []
  let length = 0
  return {
    range: part.header,
    write(bytes) {
      if (!isKept) return []
      const room = bytes.subarray(0, Math.max(0, MAX_HEADER - length))
      // A copy: the caller may use its chunk again before the header is complete.
      kept.push(Buffer.from(room))
      length += room.length
      return []
    },
    end() {
      if (!isTold) return []
      let text = ''
      for (const { name, value } of decodedFields(Buffer.concat(kept))) {
        text += `${name === '' ? '' : `${name}: `}${value}\r\n`
      }
      return [{ of, part, text }]
    },
    encoding() {
      for (const { value } of decodedFields(Buffer.concat(kept), 'content-transfer-encoding')) {
        const encoding = parseTransferEncoding(value)
        if (encoding !== undefined) return encoding
      }
      return undefined
    },
  }
}

/**
 * Unfolded and with encoded words decoded. Octets are UTF-8 (RFC 6532) or nothing: nobody knows what else they mean.
 * @param named in lower case: fields of this name only
 */
export function* decodedFields(header: Uint8Array, named?: string): Generator<{ name: string; value: string }> {
  const buffer = asBuffer(header)
  for (const { start, nameEnd, valueStart, end } of fieldSpans(buffer)) {
    const name = buffer.toString('latin1', start, nameEnd)
    if (named !== undefined && (nameEnd - start !== named.length || name.toLowerCase() !== named)) continue
    // As Dovecot: a fold with a tab reads as a space.
    const unfolded = buffer
      .toString('utf8', valueStart, end)
      .replaceAll(/\r?\n\t/g, ' ')
      .replaceAll(/\r?\n/g, '')
    const value = unfolded.trim()
    yield { name, value: decodeWords(value) }
  }
}

function bodyJob(part: MessagePart, encoding: string | undefined): Job {
  let transfer: TransferDecoder | undefined
  let charset: CharsetDecoder | undefined
  const decode = (bytes: Buffer): string => {
    transfer ??= transferDecoder(encoding)
    charset ??= charsetDecoder(parameter(part.contentType?.params ?? [], 'charset') ?? '')
    return charset.write(transfer.write(bytes))
  }
  const piece = (text: string): TextPiece[] => (text === '' ? [] : [{ of: 'body', part, text }])
  return {
    range: part.body,
    write: (bytes) => piece(decode(bytes)),
    end: () => {
      if (transfer === undefined || charset === undefined) return []
      return piece(charset.write(transfer.end()) + charset.end())
    },
  }
}
