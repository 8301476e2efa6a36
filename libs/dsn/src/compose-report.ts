/**
 * Writes a delivery status notification: multipart/report with a text for people, the facts for machines, and the original
 * message or its header.
 *
 * The same facts give the same octets, so a report that is composed again after a crash is the same report. The original is
 * passed through and never held; nothing here decides whether a report is due.
 *
 * STANDARDS  RFC 3464; RFC 3461 §4.3 (RET), §6; RFC 6522; RFC 6533 (SMTPUTF8); RFC 3834 §5 (Auto-Submitted)
 */
import { isAscii as isAsciiOctets } from 'node:buffer'

import { formatDate, formatFields } from '@postbus/message'
import { asciiPath } from '@postbus/smtp'

import { DEFAULT_REPORT_LIMITS, type ReportFacts } from './facts.ts'
import { humanText, subjectOf } from './human-text.ts'
import { base64Lines, inBase64, readHeader } from './original-part.ts'
import { type PartShape, type Shape, shapeOf } from './shape.ts'
import { isAscii, statusPart } from './status-part.ts'

export interface Report {
  /** For the envelope of the report: what the way to the sender must be able to carry; of what nobody declared nobody knows. */
  body: '7BIT' | '8BITMIME' | undefined
  smtputf8: boolean
  octets: AsyncGenerator<Buffer>
}

/** `original`: the octets from the spool. They are read only as far as they are returned. */
export function composeReport(facts: ReportFacts, original: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Report {
  const shape = shapeOf(facts)
  const undeclared = shape.returned === 'message' && facts.original.body === undefined && !shape.smtputf8
  return {
    body: undeclared ? undefined : hasEightBits(shape) ? '8BITMIME' : '7BIT',
    smtputf8: shape.smtputf8,
    octets: writeReport(facts, shape, original),
  }
}

const hasEightBits = ({ original, status }: Shape): boolean =>
  original.encoding === '8bit' || status.encoding === '8bit'

async function* writeReport(
  facts: ReportFacts,
  shape: Shape,
  original: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  const limits = { ...DEFAULT_REPORT_LIMITS, ...facts.limits }
  // Nobody outside knows the id before, so no message can hold this line — RFC 2046 §5.1.1.
  const boundary = `=_report_${facts.queueId}`
  yield header(facts, boundary, hasEightBits(shape))
  yield ascii(`\r\nThis is a delivery report in MIME format.\r\n\r\n--${boundary}\r\n`)
  yield textPart(humanText(facts, limits.namedRecipients, shape.returned))
  yield ascii(`\r\n--${boundary}\r\n`)
  yield partHeader(shape.status)
  yield Buffer.from(statusPart(facts, shape.smtputf8), 'utf8')
  yield ascii(`\r\n--${boundary}\r\n`)
  if (shape.returned === 'message') {
    yield partHeader(shape.original)
    yield* encoded(shape.original, original)
  } else {
    const header = await readHeader(original, limits.returnedHeaderBytes)
    // Headers with octets nobody declared are common; the report must not need 8BITMIME for them.
    const undeclared = shape.original.encoding === '7bit' && !isAsciiOctets(header)
    const part: PartShape = undeclared ? { ...shape.original, encoding: 'base64' } : shape.original
    yield partHeader(part)
    yield* encoded(part, [header])
  }
  yield ascii(`\r\n--${boundary}--\r\n`)
}

function header(facts: ReportFacts, boundary: string, eightBit: boolean): Buffer {
  const { original, recipients } = facts
  const fields: [name: string, value: string][] = [
    ['From', facts.from],
    // In A-labels, where that is enough: the report needs no SMTPUTF8 then.
    ['To', `<${asciiPath(facts.to) ?? facts.to}>`],
    ['Subject', subjectOf(recipients)],
    ['Date', formatDate(facts.date)],
    ['Message-ID', facts.messageId],
    // RFC 3834 §5: so that nobody answers automatically.
    ['Auto-Submitted', 'auto-replied'],
  ]
  // Longer ones would make a line that RFC 5322 §2.1.1 forbids.
  if (original.messageId !== undefined && /^<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>$/.test(original.messageId)) {
    fields.push(['In-Reply-To', original.messageId], ['References', original.messageId])
  }
  fields.push(
    ['MIME-Version', '1.0'],
    ['Content-Type', `multipart/report; report-type=delivery-status; boundary="${boundary}"`],
  )
  // RFC 2045 §6.4: what holds eight bits says so.
  if (eightBit) fields.push(['Content-Transfer-Encoding', '8bit'])
  return formatFields(fields)
}

function textPart(text: string): Buffer {
  const plain = isAscii(text)
  const head = formatFields([
    ['Content-Type', `text/plain; charset=${plain ? 'us-ascii' : 'utf-8'}`],
    ['Content-Description', 'Notification'],
    ['Content-Transfer-Encoding', plain ? '7bit' : 'base64'],
  ])
  return Buffer.concat([head, ascii('\r\n'), plain ? ascii(text) : base64Lines(Buffer.from(text, 'utf8'))])
}

function partHeader({ type, description, encoding }: PartShape): Buffer {
  const fields = formatFields([
    ['Content-Type', type],
    ['Content-Description', description],
    ['Content-Transfer-Encoding', encoding],
  ])
  return Buffer.concat([fields, ascii('\r\n')])
}

async function* encoded(
  { encoding }: PartShape,
  octets: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  if (encoding === 'base64') yield* inBase64(octets)
  else for await (const chunk of octets) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

function ascii(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
