/**
 * The text of a message as a reader sees it, piece by piece as the octets pass by: header fields with their encoded words
 * decoded, and the parts that are text, freed from transfer encoding and charset. One header and one chunk are in memory.
 *
 * STANDARDS  RFC 2045, 2046 §4.1, 2047; RFC 9051 §6.4.4 (what SEARCH looks at)
 */
import { charsetDecoder, type CharsetDecoder } from './charset.ts'
import { decodeWords } from './encoded-words.ts'
import { asBuffer, fieldSpans, isBlank } from './header.ts'
import { decodeParameter, parseContentType, parseDecoding } from './parameters.ts'
import { type MessagePart, type Range, walkParts } from './structure.ts'
import { type TransferDecoder, transferDecoder } from './transfer.ts'

export interface TextPiece {
  /** `header`: of the message itself; `mime`: of a part inside it; `body`: of a text part. */
  of: 'header' | 'mime' | 'body'
  part: MessagePart
  /** A whole header, a field on each line, or some of a body; pieces of one body follow each other. */
  text: string
  /** Of a header: the header itself. */
  octets?: Buffer
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
    if (part.message !== undefined || (part.parts ?? []).length > 0) continue
    const { isText, encoding } = header.reading()
    if (isText && READABLE.has(encoding)) yield bodyJob(part, encoding)
  }
}

const READABLE = new Set(['7bit', '8bit', 'binary', 'quoted-printable', 'base64'])

/** How a body is to be read. */
interface Reading {
  isText: boolean
  /** In lower case. */
  encoding: string
}

interface HeaderJob extends Job {
  /** What the header says of the body, once it has passed by. */
  reading(): Reading
}

/** @param isTold whether the header is a piece of the text */
function headerJob(part: MessagePart, of: 'header' | 'mime', isTold: boolean): HeaderJob {
  const kept: Buffer[] = []
  let length = 0
  let header = Buffer.alloc(0)
  return {
    range: part.header,
    write(bytes) {
      const room = bytes.subarray(0, Math.max(0, MAX_HEADER - length))
      // A copy: the caller may use its chunk again before the header is complete.
      kept.push(Buffer.from(room))
      length += room.length
      return []
    },
    end() {
      header = Buffer.concat(kept)
      if (!isTold) return []
      let text = ''
      for (const { front, value } of unfoldedFields(header)) text += `${front}${decodeWords(value)}\r\n`
      return [{ of, part, text, octets: header }]
    },
    reading: () => readingBy(header),
  }
}

/**
 * As Dovecot: by the header itself, MIME or not, and by the last of several fields, where the tree knows the first. Message/delivery-status
 * and the like are read; images, applications and unknown encodings are not.
 */
function readingBy(header: Uint8Array): Reading {
  const reading = { isText: true, encoding: '7bit' }
  for (const { name, value } of unfoldedFields(header, READING_FIELDS)) {
    if (name.length === CONTENT_TYPE.length) {
      const { type, subtype } = parseContentType(value)
      reading.isText = subtype !== '' && /^(?:text|message)$/i.test(type)
    } else reading.encoding = parseDecoding(value).toLowerCase()
  }
  return reading
}

/** The transfer encoding, in lower case, a body is to be decoded by; '' if its header names none that can be read. */
export const decodingBy = (header: Uint8Array): string => readingBy(header).encoding

const CONTENT_TYPE = 'content-type'
const READING_FIELDS = [CONTENT_TYPE, 'content-transfer-encoding']

/** @param names in lower case: fields of these names only */
export function* unfoldedFields(header: Uint8Array, names?: readonly string[]): Generator<UnfoldedField> {
  const buffer = asBuffer(header)
  for (const { start, nameEnd, valueStart, end } of fieldSpans(buffer)) {
    // Most are ruled out by their length.
    if (names !== undefined && !names.some(({ length }) => length === nameEnd - start)) continue
    const name = buffer.toString('latin1', start, nameEnd)
    if (names !== undefined && !names.includes(name.toLowerCase())) continue
    const from = nameEnd > start && isBlank(buffer[valueStart]) ? valueStart + 1 : valueStart
    // As Dovecot: a fold with a tab reads as a space.
    const value = buffer
      .toString('utf8', from, end)
      .replaceAll(/\r?\n\t/g, ' ')
      .replaceAll(/\r?\n/g, '')
    yield { name, front: buffer.toString('utf8', start, from), value }
  }
}

export interface UnfoldedField {
  /** Empty for a line without a colon. */
  name: string
  /** What stands before the value: the name, the colon, one blank. */
  front: string
  /** Encoded words are still that. Octets are UTF-8 (RFC 6532) or nothing: nobody knows what else they mean. */
  value: string
}

function bodyJob(part: MessagePart, encoding: string): Job {
  let transfer: TransferDecoder | undefined
  let charset: CharsetDecoder | undefined
  const decode = (bytes: Buffer): string => {
    transfer ??= transferDecoder(encoding, { toFirstEnd: true })
    charset ??= charsetDecoder(decodeParameter(part.contentType?.params ?? [], 'charset') ?? '')
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
