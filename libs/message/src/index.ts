/**
 * What a message is: header fields, addresses, dates, the MIME tree and its octet ranges, decoding for search.
 * A model layer: no file, no socket, no clock. Every parser here is total (it never throws on any octets) and linear.
 */

export { asBuffer, fieldsNamed, fieldValue, headerEnd, type HeaderField, headerText, parseHeader } from './header.ts'
export {
  type AddressGroup,
  type AddressList,
  type MailboxAddress,
  parseAddressList,
  shownAddress,
  readAddressList,
} from './address.ts'
export { type Addresses, type ImapEnvelope, isEnvelopeField } from './envelope.ts'
export { octetsOf, octetString, octetsToText } from './octets.ts'
export {
  type ContentType,
  decodeParameter,
  type Disposition,
  parameter,
  type Parameters,
  parseContentType,
  parseDisposition,
} from './parameters.ts'
export {
  DEFAULT_STRUCTURE_LIMITS,
  parseStructure,
  parseStructureOf,
  type StructureLimits,
  StructureParser,
} from './parse-structure.ts'
export { mediaTypeOf, type MessagePart, type Range, sizeOf, walkParts } from './structure.ts'
export { encodedPart, fieldCutter, findPart, type SectionName, sectionRange, selectFields } from './section.ts'
export { casemap } from './casemap.ts'
export { charsetDecoder, type CharsetDecoder, decodeCharset } from './charset.ts'
export { decodedText, decodingBy, type TextPiece } from './decoded-text.ts'
export { decodeWords } from './encoded-words.ts'
export { headerContains, type HeaderKey, searchText, type TextKey } from './search-text.ts'
export { encodeBinaryParts, hasBinaryParts } from './encode-binary.ts'
export { CrlfEncoder } from './line-ends.ts'
export { previewSource, previewText, type PreviewSource } from './preview.ts'
export { indexText, type IndexText } from './index-text.ts'
export { transferEncoder, type TransferEncoder } from './encode-transfer.ts'
export { decodeTransfer, transferDecoder, type TransferDecoder } from './transfer.ts'
export { baseSubject, type BaseSubject } from './base-subject.ts'
export { type SortKeys, sortKeysOf } from './sort-keys.ts'
export {
  orderedSubjectThreads,
  referencesThreads,
  type ThreadMessage,
  type Threads,
  TooManyIdentifiers,
} from './thread.ts'
export { countReceived, formatField, formatFields } from './compose.ts'
export { formatDate, type HeaderDate, parseDate } from './date.ts'
export { createMessageId, parseMessageIds } from './message-id.ts'
export { packStructure, unpackStructure } from './pack-structure.ts'
