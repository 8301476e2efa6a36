/**
 * @postbus/contracts — every subject, stream and request. The only thing services share about each other.
 *
 * STANDARDS of its own: publishers parse before sending, readers parse on arrival and ignore keys they do not know. Adding
 * an optional key keeps `v1`; anything else is `v2` beside it until the last reader moved.
 */
export * from './define.ts'
export * from './envelope.ts'
export * from './subjects.ts'
export * from './streams.ts'
export * from './task.ts'
export * from './mail-accepted.ts'
export * from './mail-local.ts'
export * from './mail-out.ts'
export * from './mail-status.ts'
export * from './mail-hold.ts'
export * from './mail-dead.ts'
export * from './hints.ts'
export * from './directory.ts'
export * from './directory-admin.ts'
export {
  Flag,
  FlagsRow,
  MailboxInfo,
  MailboxKey,
  MailboxName,
  MAX_APPEND_INLINE_BYTES,
  MAX_INLINE_BYTES,
  ObjectId,
  STAGED_PREFIX,
  UidSet,
} from './mailstore-terms.ts'
export * from './mailstore-mailboxes.ts'
export * from './mailstore-messages.ts'
export * from './mailstore-search.ts'
export * from './mailstore-account.ts'
export * from './fetched-messages.ts'
export * from './custody.ts'
export * from './dead-letters.ts'
export * from './delivery.ts'
export * from './transports.ts'
export * from './services.ts'
export { contracts } from './registry.ts'
export * from './schemas.ts'
export * from './permissions.ts'
export * from './server-config.ts'
