/**
 * The storage port: what the mailstore needs of a database, as commands of plain data, so that an adapter may live in
 * other threads. Every call is bounded (one page, one chunk, one batch); callers loop.
 *
 * Guarantees of every adapter, held by adapters/storage/contract: a write is durable when it resolves, all or nothing; UIDs
 * ascend and are never used twice; MODSEQ grows strictly with every change of a mailbox; counters and quota are exact at
 * every moment; one delivery per (queueId, account), whatever happened to the message since.
 */
import type {
  AccountId,
  FetchedPage,
  MailboxInfo,
  QueueId,
  SearchKey,
  Section,
  SortCriterion,
} from '@postbus/contracts'

import type { StoredContent } from './content.ts'
import type { FlagSet } from './flags.ts'
import type { UidRange } from './uid-ranges.ts'

export interface MailStorage {
  read<Kind extends keyof Reads>(kind: Kind, input: Reads[Kind]['input']): Promise<Reads[Kind]['output']>
  /** @throws StorageUnavailable nothing was stored */
  write<Kind extends keyof Writes>(kind: Kind, input: Writes[Kind]['input']): Promise<Outcome<Writes[Kind]['output']>>
  /** One bounded step of bringing what searches are helped by up to date. Searches are exact without it. */
  index(): Promise<IndexStep>
  close(): Promise<void>
}

export interface IndexStep {
  /** How many came in. */
  texts: number
  /** How many of them could not be read. */
  unreadable: number
  /** There is more to do. */
  more: boolean
}

/** The database is full, busy for too long, or cannot be reached. */
export class StorageUnavailable extends Error {
  override readonly name = 'StorageUnavailable'
}

/** It was done and these mailboxes changed; or it was refused and nothing did. */
export type Outcome<T> =
  { kind: 'ok'; value: T; changes: MailboxChange[] } | { kind: 'refused'; code: RefusalCode; reason: string }

export type RefusalCode =
  'noSuchMailbox' | 'noSuchTarget' | 'noSuchMessage' | 'exists' | 'hasChildren' | 'limit' | 'overQuota'

export interface MailboxChange {
  account: AccountId
  mailbox: number
  highestModseq: number
  uidNext: number
}

/** A mailbox by its number, of this account: a number alone proves nothing. */
export interface MailboxOf {
  account: AccountId
  mailbox: number
}

/** A mailbox by its normalized name. */
export interface MailboxNamed {
  account: AccountId
  name: string
}

interface Command<Input, Output> {
  input: Input
  output: Output
}

/** Null where there is no such mailbox. */
export interface Reads {
  known: Command<DeliveryKey[], KnownDelivery[]>
  account: Command<{ account: AccountId }, { usedBytes: number; messages: number } | null>
  list: Command<{ account: AccountId }, { mailboxes: MailboxInfo[]; subscribedOnly: string[] }>
  status: Command<MailboxNamed, MailboxInfo | null>
  /** All of it as of one moment. */
  open: Command<MailboxNamed, Opened | null>
  sync: Command<SyncFrom, SyncPage | null>
  fetch: Command<FetchPageOf, Fetched | null>
  search: Command<SearchPageOf, SearchPage | null>
  /** The given messages in order; those gone meanwhile are left out. */
  sort: Command<MailboxOf & { uids: UidRange[]; criteria: SortCriterion[] }, Uint32Array | null>
  /** The given messages as pieces of IMAP's thread-list. */
  thread: Command<MailboxOf & { uids: UidRange[]; algorithm: ThreadAlgorithm }, ThreadsOf | null>
  /** Octets of messages with \Deleted, by mailbox: of one, or of all of the account that have any. */
  deletedSizes: Command<{ account: AccountId; mailbox: number | null }, [mailbox: number, size: number][]>
  metadata: Command<MetadataOf & { entries: readonly string[]; depth: '0' | '1' | 'infinity' }, Metadata[] | null>
  /** Messages that can be restored, in the order in which they went. */
  expunged: Command<ExpungedPageOf, ExpungedRow[]>
  /** One page of what a mailbox says of its messages, and of what their bytes say. */
  messagesToCheck: Command<MailboxOf & { after: number; limit: number }, MessageToCheck[] | null>
  /** What a mailbox's row says, beside what its messages add up to. */
  countersToCheck: Command<MailboxOf, { said: Counters; counted: Counters; strayKeywords: number } | null>
  /** The account's row and its emails, beside what its mailboxes add up to. */
  accountToCheck: Command<{ account: AccountId }, AccountToCheck | null>
  /** Those of the given blobs that are no garbage. */
  namedBlobs: Command<{ blobs: string[] }, string[]>
}

export interface Writes {
  /** First use of an account: its mailboxes come to be. Changes nothing later. */
  prepareAccount: Command<{ account: AccountId }, null>
  deliver: Command<Delivery[], Delivered[]>
  append: Command<AppendTo, { uidValidity: number; uids: UidRange }>
  /** Takes the \Recent of UIDs below `below`; returns the first one nobody had taken. */
  claimRecent: Command<MailboxOf & { below: number }, number>
  create: Command<MailboxNamed & { specialUse: string[] }, MailboxInfo>
  /** Returns which it was. */
  remove: Command<MailboxNamed, number>
  rename: Command<{ account: AccountId; from: string; to: string }, null>
  subscribe: Command<MailboxNamed & { subscribed: boolean }, null>
  /** All or none. */
  setMetadata: Command<MetadataOf & { entries: { entry: string; value: Uint8Array | null }[] }, null>
  store: Command<StoreIn, Stored>
  copy: Command<CopyFrom, Copied>
  expunge: Command<ExpungeFrom, Expunged>
  /** All of those still kept, or none. Returns how many. */
  restore: Command<Restore, number>
  /** Every mailbox becomes another one to its clients: what they know of it may be newer than what is here. Returns how many. */
  renewUidValidities: Command<null, number>
  /** Their texts are no longer in the index. */
  forgetTexts: Command<{ contents: number[] }, null>
  /** Sets right what follows from the rest. */
  repair: Command<Repair, null>
  /** One step of taking away what nothing shows any more. */
  purge: Command<PurgeStep, Purged>
}

export interface Opened {
  info: MailboxInfo
  /** UIDs from here on were claimed as \Recent by nobody. */
  recentFrom: number
  firstUnseen: number | null
  uids: UidRange[]
}

export interface DeliveryKey {
  queueId: QueueId
  account: AccountId
}

export interface KnownDelivery {
  /** Null: not yet. */
  deliveredAt: number | null
  /** The message's content, if another recipient's delivery stored it. */
  content: { content: number; size: number } | null
}

export interface Delivery extends DeliveryKey {
  /** Return-Path and Delivered-To: differ per recipient, so they are no part of the shared content. */
  prefix: Uint8Array
  at: number
  quotaBytes: number | null
  /** A number: stored already. */
  content: number | StoredContent
}

export type Delivered =
  /** `contentUsed`: the offered content was stored; otherwise what was prepared for it is not needed. */
  | { kind: 'delivered'; mailbox: number; uid: number; contentUsed: boolean }
  /** This message was delivered to this account before. */
  | { kind: 'repeat' }
  | { kind: 'overQuota'; usedBytes: number }
  /** The numbered content went away meanwhile: to be offered again whole. */
  | { kind: 'contentGone' }

export interface AppendTo extends MailboxNamed {
  quotaBytes: number | null
  /** Goes in the same step — RFC 8508. */
  replaces?: { mailbox: number; uid: number } | undefined
  messages: { flags: FlagSet; internalDate: number; saveDate: number; content: StoredContent }[]
}

/** A mailbox by its normalized name; null: the account as a whole. */
export interface MetadataOf {
  account: AccountId
  name: string | null
}

export interface Metadata {
  entry: string
  value: Uint8Array
}

export interface SyncFrom extends MailboxOf {
  /** What changed after this… */
  modseq: number
  /** …and with this very MODSEQ after this UID: where the page before ended. Null at first. */
  uid: number | null
  /** UIDs that vanished after this MODSEQ. */
  vanishedAfter: number
  limit: number
}

export interface SyncPage {
  vanished: UidRange[]
  messages: FlagsOf[]
  /** Where the next page goes on; null on the last one. */
  next: { modseq: number; uid: number } | null
  highestModseq: number
  uidNext: number
  recentFrom: number
}

export interface FlagsOf {
  uid: number
  modseq: number
  flags: string[]
}

export interface FetchPageOf extends MailboxOf {
  uids: UidRange[]
  want: {
    flags: boolean
    internalDate: boolean
    size: boolean
    envelope: boolean
    structure: boolean
    basicStructure: boolean
    saveDate: boolean
    emailId: boolean
    preview: boolean
    sections: Section[]
  }
  changedSince: number | null
  /** Messages in the page at most; absent for a first page. */
  limit?: number | undefined
}

export interface Fetched {
  page: FetchedPage
  /** Of the page's sections; null without any. */
  octets: Uint8Array | null
  /** Those of the page without \Seen. */
  unseen: UidRange[]
  /** What is left of the UIDs asked for. */
  rest: UidRange[]
  /** For the page of those: about as many messages as fill it. */
  nextLimit: number
}

export interface SearchPageOf extends MailboxOf {
  key: SearchKey
  /** Where the page before ended; 0 at first. */
  after: number
  now: number
}

export interface SearchPage {
  uids: UidRange[]
  highestModseq: number
  /** Where this page ended; null on the last one. */
  next: number | null
}

export type ThreadAlgorithm = 'orderedSubject' | 'references'

/** `tooLong`: there are more references than a mailbox can be threaded by. */
export type ThreadsOf = { kind: 'threads'; pieces: string[] } | { kind: 'tooLong' }

export interface StoreIn extends MailboxOf {
  uids: UidRange[]
  mode: 'add' | 'remove' | 'replace'
  flags: FlagSet
  unchangedSince: number | null
}

export interface Stored {
  /** With the MODSEQ each had before; the same one when nothing changed. */
  messages: (FlagsOf & { previousModseq: number })[]
  conflict: UidRange[]
  /** Left for the next chunk. */
  rest: UidRange[]
}

export interface CopyFrom extends MailboxOf {
  uids: UidRange[]
  to: string
  move: boolean
  /** Fewer that are still there: nothing is copied. */
  atLeast?: number
  at: number
  quotaBytes: number | null
}

export interface Copied {
  uidValidity: number
  from: UidRange[]
  to: UidRange[]
}

export interface ExpungeFrom extends MailboxOf {
  /** Null: all. */
  uids: UidRange[] | null
  any: boolean
}

export interface Expunged {
  vanished: UidRange[]
  highestModseq: number
  /** Left for the next chunk. */
  rest: UidRange[]
}

export interface ExpungedPageOf {
  account: AccountId
  /** Its name when the message went; null: any. */
  mailbox: string | null
  since: number
  /** The last id of the page before; 0 at first. */
  after: number
  limit: number
}

export interface ExpungedRow {
  id: number
  mailbox: string
  uid: number
  at: number
  internalDate: number
  size: number
  flags: string[]
  /** As libs/message packs it; null where the bytes are gone too. */
  structure: string | null
}

export interface Restore {
  account: AccountId
  ids: number[]
  /** Null: where each was. */
  to: string | null
  at: number
  quotaBytes: number | null
}

export interface MessageToCheck {
  uid: number
  size: number
  /** Null: there is none. */
  content: ContentToCheck | null
}

export interface ContentToCheck {
  id: number
  prefixSize: number
  size: number
  headerSize: number
  structure: string
  /** Octets of header and body in the database. */
  heldSize: number
  blob: { key: string; offset: number } | null
}

export interface Counters {
  messages: number
  unseen: number
  deleted: number
  size: number
  /** The next one: what is counted may be lower, never higher. */
  uidNext: number
  /** Likewise. */
  highestModseq: number
}

export interface AccountToCheck {
  said: { messages: number; usedBytes: number }
  counted: { messages: number; usedBytes: number }
  /** Emails that do not say how often they are shown: in messages, and kept after an expunge. */
  wrongReferences: number
}

export type Repair =
  | { kind: 'size'; account: AccountId; mailbox: number; uid: number; size: number }
  | { kind: 'structure'; content: number; computed: StoredContent }
  /** And takes keywords off messages that are not there. */
  | { kind: 'counters'; account: AccountId; mailbox: number }
  | { kind: 'account'; account: AccountId }

export interface PurgeStep {
  at: number
  /** Messages expunged before this time are no longer kept. */
  expungedBefore: number
  /** Blobs given up before this time may be taken away now… */
  blobsBefore: number
  /** …and these have been. */
  removed: string[]
}

export interface Purged {
  /** Rows removed; 0 when there was nothing to do. */
  rows: number
  /** Blobs to take away. */
  blobs: string[]
}
