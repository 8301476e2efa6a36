/** How commands of the port are written against tables: one function each, inside a transaction somebody else ends. */
import type { Database, Reader, Transaction } from '@postbus/sql'

import { MAX_ANSWERED_LENGTH } from '../../mailbox/uid-ranges.ts'
import type { MailboxChange, Reads, RefusalCode, Writes } from '../../mailbox/storage.ts'
import type { Tables } from './schema.ts'

export interface WriteContext {
  tx: Transaction<Tables>
  changed(change: MailboxChange): void
}

export type WriteOperations = {
  readonly [Kind in keyof Writes]: (
    context: WriteContext,
    input: Writes[Kind]['input'],
  ) => Promise<Writes[Kind]['output']>
}

export type ReadOperations = {
  readonly [Kind in keyof Reads]: (db: Reader<Tables>, input: Reads[Kind]['input']) => Promise<Reads[Kind]['output']>
}

export type WriteOperation<Kind extends keyof Writes> = WriteOperations[Kind]
export type ReadOperation<Kind extends keyof Reads> = ReadOperations[Kind]

export type MailDatabase = Database<Tables>

/** Undoes the operation it is thrown in, and nothing else. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code: RefusalCode

  constructor(code: RefusalCode, reason: string) {
    super(reason)
    this.code = code
  }
}

export interface StorageLimits {
  /** A client that creates mailboxes in a loop must not make LIST unusable for everybody. */
  maxMailboxes: number
  maxSubscriptions: number
  maxKeywordsPerMailbox: number
  /** Annotations of one mailbox, or of the account as a whole. */
  maxMetadataEntries: number
  /** Messages one store or expunge transaction changes; more take another one, so that deliveries get their turn. */
  maxChunk: number
  /** Characters of the set of UIDs that were copied: the answer names them, and an answer that is not had looks like a refusal. */
  maxCopiedLength: number
  /** Of new accounts, in this order; INBOX comes first without being named. */
  defaultMailboxes: readonly { name: string; specialUse: string }[]
}

export const defaultLimits: StorageLimits = {
  maxMailboxes: 10_000,
  maxSubscriptions: 20_000,
  maxKeywordsPerMailbox: 1000,
  maxMetadataEntries: 100,
  maxChunk: 5000,
  maxCopiedLength: MAX_ANSWERED_LENGTH,
  defaultMailboxes: [
    { name: 'Sent', specialUse: '\\Sent' },
    { name: 'Drafts', specialUse: '\\Drafts' },
    { name: 'Trash', specialUse: '\\Trash' },
    { name: 'Junk', specialUse: '\\Junk' },
    { name: 'Archive', specialUse: '\\Archive' },
  ],
}
