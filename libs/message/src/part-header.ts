/**
 * What a part's header says about the part, and the ENVELOPE if the part is a message.
 */
import { envelopeOf, isAddressField, isEnvelopeField } from './envelope.ts'
import { fieldSpans } from './header.ts'
import { octetString } from './octets.ts'
import { parseContentType, parseDisposition, parseLanguages, parseTransferEncoding } from './parameters.ts'
import type { MessagePart } from './structure.ts'

type Described = Pick<
  MessagePart,
  'contentType' | 'encoding' | 'id' | 'description' | 'disposition' | 'languages' | 'location' | 'md5'
>

const LONGEST_NAME = 'content-transfer-encoding'.length

/**
 * Fills `part` from its header. A message that has neither MIME-Version nor Content-Type is not MIME, whatever other
 * Content- fields it has: it predates them (RFC 2045 §5.2) and Dovecot does not show them.
 */
export function describePart(part: MessagePart, header: Buffer, isMessage: boolean): void {
  const described: Described = {}
  const envelope: [name: string, value: string][] = []
  let mime = !isMessage
  for (const span of fieldSpans(header)) {
    if (span.nameEnd - span.start > LONGEST_NAME || span.nameEnd === span.start) continue
    const name = octetString(header.subarray(span.start, span.nameEnd)).toLowerCase()
    if (name.startsWith('content-')) {
      readContentField(described, name, rawValue(header, span.valueStart, span.end))
      mime ||= name === 'content-type'
    } else if (name === 'mime-version') {
      mime = true
    } else if (isMessage && isEnvelopeField(name)) {
      // Where an address list is broken, what is shown of it depends on its folds.
      const value = isAddressField(name) ? addressesValue : rawValue
      envelope.push([name, value(header, span.valueStart, span.end)])
    }
  }
  if (mime) Object.assign(part, described)
  if (isMessage) part.envelope = envelopeOf(envelope)
}

/** The first of a repeated field counts. */
function readContentField(part: Described, name: string, value: string): void {
  switch (name) {
    case 'content-type':
      part.contentType ??= parseContentType(value)
      break
    case 'content-transfer-encoding': {
      const encoding = part.encoding ?? parseTransferEncoding(value)
      if (encoding !== undefined) part.encoding = encoding
      break
    }
    case 'content-disposition':
      // One without parameters gives way to a later one, as in Dovecot.
      if (part.disposition === undefined || part.disposition.params.length === 0) readDisposition(part, value)
      break
    case 'content-language': {
      const languages = part.languages ?? parseLanguages(value)
      if (languages.length > 0) part.languages = languages
      break
    }
    case 'content-id':
      part.id ??= value
      break
    case 'content-description':
      part.description ??= value
      break
    case 'content-location':
      part.location ??= value
      break
    case 'content-md5':
      part.md5 ??= value
      break
  }
}

function readDisposition(part: Described, value: string): void {
  const disposition = parseDisposition(value)
  if (disposition !== undefined) part.disposition = disposition
}

const BLANKS = new Set([0x20, 0x09])
const BLANKS_AND_LINE_ENDS = new Set([...BLANKS, 0x0d, 0x0a])

/**
 * Unfolded, without the blanks after the colon and the line end; the rest is kept, because IMAP shows it. A value of nothing but
 * blanks loses the first only, as in Dovecot.
 */
function rawValue(header: Buffer, valueStart: number, end: number): string {
  const value = foldedValue(header, valueStart, end)
  return value.includes('\n') ? value.replaceAll('\r\n', '').replaceAll('\n', '') : value
}

/** The same with its folds; blanks on lines of their own at the end are gone. */
function addressesValue(header: Buffer, valueStart: number, end: number): string {
  const value = foldedValue(header, valueStart, end)
  let last = value.length
  while (last > 0 && BLANKS_AND_LINE_ENDS.has(value.charCodeAt(last - 1))) last--
  const lf = value.indexOf('\n', last)
  return lf < 0 ? value : value.slice(0, lf > 0 && value[lf - 1] === '\r' ? lf - 1 : lf)
}

function foldedValue(header: Buffer, valueStart: number, end: number): string {
  let from = valueStart
  while (from < end && BLANKS.has(header[from] ?? 0)) from++
  const lineEnd = from >= end || header[from] === 0x0d || header[from] === 0x0a
  if (lineEnd) from = Math.min(valueStart + 1, from)
  return octetString(header.subarray(from, end))
}
