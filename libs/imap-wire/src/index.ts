/**
 * @postbus/imap-wire — IMAP on the wire: commands out of bytes, responses into bytes, sets of numbers, mailbox names.
 * No I/O, no knowledge of mailboxes.
 */
export * from './sequence-set.ts'
