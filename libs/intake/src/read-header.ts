/**
 * Reads a body as far as its header goes. Memory holds the header and the piece in which it ends; the rest is still to be read.
 *
 * STANDARDS  RFC 5322 §2.1 (header, empty line, body), §2.2 (field names); RFC 4155 (mbox)
 */
import { headerEnd, type HeaderField, parseHeader } from '@postbus/message'
import { SmtpError } from '@postbus/smtp'

export interface HeaderRead {
  fields: HeaderField[]
  /** All octets read so far: header, empty line, and the beginning of the body. */
  begin: Buffer
  /** The message begins with something that is no header field: it has no header, and what is put in front must be set off. */
  headless: boolean
  /** In front of the header stands the line that begins a message in an mbox file: some who send from one send it along. */
  mailboxLine: boolean
}

/** Printable, no blank, no colon. */
const FIELD_NAME = /^[\x21-\x39\x3b-\x7e]+$/
/** RFC 4155, appendix A; quoted by some. With its date, for a text may begin with these words. */
const MAILBOX_LINE = /^>?From \S+ +[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d(?::\d\d)?(?: \S+)? \d{4}\b/
const LF = 0x0a
const FIRST_BYTES = 16 * 1024
/** Octets; an address and a date. */
const MAX_MAILBOX_LINE = 1000

/** A body that ends before an empty line is all header. @throws SmtpError 552 for a header above the limit */
export async function readHeader(body: AsyncIterator<Uint8Array>, maxBytes: number): Promise<HeaderRead> {
  let buffer = Buffer.allocUnsafe(FIRST_BYTES)
  let length = 0
  let lineStart = 0
  for (;;) {
    const { value, done } = await body.next()
    if (done === true) break
    if (length + value.length > buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * buffer.length, length + value.length))
      buffer.copy(larger, 0, 0, length)
      buffer = larger
    }
    buffer.set(value, length)
    length += value.length

    const begin = buffer.subarray(0, length)
    const lastLineEnd = value.lastIndexOf(LF)
    // Only what is new is searched, however small the pieces and however long the lines.
    if (lastLineEnd >= 0) {
      if (lineStart === 0 && !mayBeginHeader(begin.subarray(0, begin.indexOf(LF) + 1))) {
        return { fields: [], begin, headless: true, mailboxLine: false }
      }
      const end = headerEnd(begin, lineStart)
      if (end > maxBytes) throw tooLarge()
      if (end >= 0) return headed(begin, end)
      lineStart = length - value.length + lastLineEnd + 1
    }
    if (length > maxBytes) throw tooLarge()
  }
  const begin = buffer.subarray(0, length)
  const headless = length > 0 && !mayBeginHeader(begin)
  return headless ? { fields: [], begin, headless, mailboxLine: false } : headed(begin, length)
}

function headed(begin: Buffer, end: number): HeaderRead {
  const fields = parseHeader(begin.subarray(0, end))
  const mailboxLine = isMailboxLine(begin)
  return { fields: mailboxLine ? fields.slice(1) : fields, begin, headless: false, mailboxLine }
}

/** An empty line is an empty header. */
function mayBeginHeader(line: Buffer): boolean {
  const [field] = parseHeader(line)
  return field === undefined || FIELD_NAME.test(field.name) || isMailboxLine(line)
}

const isMailboxLine = (begin: Buffer): boolean => MAILBOX_LINE.test(begin.toString('latin1', 0, MAX_MAILBOX_LINE))

const tooLarge = (): SmtpError => new SmtpError(552, '5.3.4', 'Message header too large')
