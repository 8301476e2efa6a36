/**
 * @postbus/imap-wire — IMAP on the wire: commands out of bytes, responses into bytes, sets of numbers, mailbox names.
 * No I/O, no knowledge of mailboxes.
 *
 * Two halves of reading: CommandReader finds where commands begin and end (and never looks inside), Arguments and the
 * `parse…` functions read what is inside (and never wait for bytes).
 */
export * from './sequence-set.ts'
export { ImapLimitError, ImapNameError, ImapSyntaxError } from './syntax-error.ts'
export {
  CommandReader,
  type AnnouncedLiteral,
  type Read,
  type ReaderLimits,
  type ReceivedCommand,
} from './command-reader.ts'
export { Arguments, type ArgumentOptions, type CommandText, type Literal } from './arguments.ts'
export { decodeUtf7, encodeUtf7, parseMailboxName, SEPARATOR } from './mailbox-name.ts'
export { ListPattern } from './list-pattern.ts'
export { listPatterns, parseListArguments, type ListArguments } from './list-arguments.ts'
export { formatDateTime, parseDate, parseDateTime } from './dates.ts'
export { parseFlag, parseFlagList, parseStoreFlags, SYSTEM_FLAGS } from './flags.ts'
export { parseFetchItems, type FetchItem, type SectionSpec } from './fetch-items.ts'
export {
  parseFetchModifiers,
  parseSelectParameters,
  parseUnchangedSince,
  type FetchModifiers,
  type KnownState,
  type SelectParameters,
} from './modifiers.ts'
export { parsePartialRange, partOf, type PartialRange } from './partial-range.ts'
export { parseSearchReturn, type SearchReturn } from './search-return.ts'
export { parseSearch, type Search, type SearchProgram } from './search-program.ts'
export { parseSortArguments, parseThreadArguments, type SortCriterion, type ThreadAlgorithm } from './sort-arguments.ts'
export { parseStatusItems, STATUS_ITEMS, type StatusItem } from './status-items.ts'
export { encodeAstring, encodeMailbox, encodeOctets, encodeString, literalHeader, responseText } from './encode.ts'
export { parseGetMetadata, parseSetMetadata, type GetMetadata, type SetMetadata } from './metadata.ts'
export { encodeBodyStructure, encodeEnvelope, type BodyStructureOptions } from './structure.ts'
