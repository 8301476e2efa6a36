/**
 * What custody keeps, and the only way to it.
 *
 * Any replica may read. One writes: who begins to lead makes every earlier leader's writes fail, so that one that was
 * paused and does not know that it lost its lease cannot change anything. All writes are durable when they resolve.
 */
import type {
  LaterReport,
  MailAccepted,
  MessageEntry,
  Origin,
  QueueId,
  Recipient,
  RecipientKey,
  Status,
} from '@postbus/contracts'

import type { BooksCounts } from '../balance/balance.ts'
import type { KnownStream } from '../reconcile/census.ts'
import type { DueMessage, ReportPlan } from '../report/plan.ts'
import type { RecipientStatus } from './order.ts'
import type { Original, Tracked } from './sheet.ts'

/** Somebody else leads now; nothing was written. */
export class Superseded extends Error {
  override readonly name = 'Superseded'
}

/** Where a message stands as a whole. */
export type Phase =
  /** Recipients are open, or not all of them are known. */
  | 'open'
  /** All have ended, and a report may be due that is not in custody yet. */
  | 'reportDue'
  /** Nothing holds the record any more. */
  | 'settled'
  /** A tombstone is durable: the record is never brought back, and may go. */
  | 'buried'
  | 'freed'

export interface MessagePage {
  queueId: QueueId
  entry: MessageEntry
  phase: Phase
  incarnation: number
  freedAt: Date | null
  /** By index; those nobody has told us about yet are missing at the end, or null. */
  originals: Pick<Original, 'recipient' | 'routed' | 'report'>[]
  /** Those a `routed` has named. */
  recipients: Tracked[]
  /** By recipient, oldest first. */
  laterReports: ReadonlyMap<RecipientKey, LaterReport[]>
}

export interface RecipientPage {
  forwardPath: string
  tracked: Tracked
  /** Those that do not stand, in their order. */
  superseded: RecipientStatus[]
  laterReports: LaterReport[]
}

/** A place in the list of open outgoing recipients: oldest first, or site by site and then oldest first. */
export interface QueuePlace {
  site: string
  /** Of the message (ms). */
  acceptedAt: number
  queueId: QueueId
  n: RecipientKey
}

/** Which part of that list; what an index answers. */
export interface QueueRange {
  queueId?: QueueId | undefined
  n?: RecipientKey | undefined
  site?: string | undefined
  /** Only those that wait for a person: held or dead. */
  setAside?: boolean | undefined
  /** Accepted after and before (ms). */
  after?: number | undefined
  before?: number | undefined
}

export type QueueState = 'routed' | 'deferred' | 'held' | 'dead'

/** What can be counted without looking at the recipient itself. */
export interface QueueMark extends QueuePlace {
  state: QueueState
  nextAttemptAt: number | null
}

export interface QueueEntry extends QueuePlace {
  entry: MessageEntry
  tracked: Tracked
}

/** What a message is looked for by; every condition given must hold. */
export interface Wanted {
  messageId?: string | undefined
  /** Addresses in any case. */
  sender?: string | undefined
  recipient?: string | undefined
  /** Accepted at or after, and before (ms). */
  after?: number | undefined
  before?: number | undefined
}

export interface Found {
  entry: MessageEntry
  recipients: number
  open: number
}

/** A later report, and whom it is about. */
export interface Note {
  queueId: QueueId
  n: RecipientKey
  later: LaterReport
}

/** A message whose recipients should all be known by now. */
export interface OverdueMessage {
  queueId: QueueId
  incarnation: number
  /** Unknown as long as nobody told us the message's facts. */
  origin: Origin | null
  /** When custody first heard of it. */
  seenAt: Date
}

/** An open recipient whose time is over, with what is needed to make its task again. */
export interface Overdue {
  queueId: QueueId
  entry: MessageEntry
  incarnation: number
  original: Recipient
  tracked: Tracked
}

export interface Books {
  find(queueId: QueueId): Promise<MessagePage | null>
  /** Whether there is a page of it, or was. */
  isKnown(queueId: QueueId): Promise<boolean>
  findRecipient(queueId: QueueId, n: RecipientKey): Promise<{ incarnation: number; tracked: Tracked } | null>
  /** Null: no `routed` has named it. */
  findHistory(queueId: QueueId, n: RecipientKey): Promise<RecipientPage | null>
  /** Open outgoing recipients behind `after`, oldest first. */
  queueEntries(range: QueueRange, after: QueuePlace | null, limit: number): Promise<QueueEntry[]>
  /** The same, site by site, with what can be counted only. */
  queueMarks(range: QueueRange, after: QueuePlace | null, limit: number): Promise<QueueMark[]>
  /** Newest first. */
  findMessages(wanted: Wanted, limit: number): Promise<Found[]>
  /** Messages behind `after` that came as delivery reports and have not been read. */
  unreadReports(after: QueueId | null, limit: number): Promise<QueueId[]>
  /** The incarnation of a message whose recipients are not all known; null of any other. */
  findUnrouted(queueId: QueueId): Promise<number | null>
  /** Numbers of messages whose record is not freed, by phase, and of open recipients; for metrics. */
  count(): Promise<{ phases: Record<Exclude<Phase, 'freed'>, number>; openRecipients: number }>
  /** Since when (ms) the oldest waits that somebody could work on; null: none does. It may be in the future: then too. */
  oldestReady(): Promise<Record<'routing' | 'mailbox' | 'attempt', number | null>>
  /**
   * Both sides of the books, over everything in the history, as of one moment. A million recipients take some tenths of a
   * second; what was reported of `failures`, and why not, a second more per 100,000 that were not.
   */
  counts(of: { failures: boolean }): Promise<BooksCounts>
  /** @param revision of the lease that lets us lead; noted for operators */
  lead(revision: number): Promise<BooksWriter>
  /** As noted by the last census. */
  knownStreams(): Promise<KnownStream[]>
  /** Open recipients whose work must be somewhere on the bus, by key, from after `after` on. */
  openTasks(after: OpenTask | null, limit: number): Promise<OpenTask[]>
  /** Recipients that are dead, by key, from after `after` on. */
  deadTasks(after: OpenTask | null, limit: number): Promise<OpenTask[]>
  /** Messages whose recipients are not all known, by queue id. */
  openMessages(after: QueueId | null, limit: number): Promise<QueueId[]>
  close(): Promise<void>
}

export interface OpenTask {
  queueId: QueueId
  n: RecipientKey
}

export interface BooksWriter {
  /** All or none. Returns the messages whose page changed. Statuses of buried messages change nothing. */
  record(statuses: readonly Status[]): Promise<QueueId[]>
  /**
   * Records found in the spool: unknown ones get a page, known ones get the facts they lack. Nothing changes for those that
   * are complete or buried.
   */
  adopt(records: readonly MailAccepted[]): Promise<void>

  /** Whether it is time to decide about any recipient. */
  hasNews(now: Date): Promise<boolean>
  /**
   * Decides about all news of messages for which it is time, and commits the plans: what is in none of them needs no report.
   * Messages whose facts are not known yet wait.
   * @param limit of messages
   * @returns messages that were decided about
   */
  planReports(now: Date, limit: number, decide: (due: DueMessage) => readonly ReportPlan[]): Promise<QueueId[]>
  /** Plans whose report is not in custody, longest due first. */
  plannedReports(now: Date, limit: number): Promise<ReportPlan[]>
  /** It could not be sent; tried again at `dueAt`. */
  postponeReport(queueId: QueueId, dueAt: Date): Promise<void>
  /** The report's record is durable and published: its page is begun, and the message it is about need not wait for it. */
  reported(plan: ReportPlan, accepted: MailAccepted, at: Date): Promise<void>

  /** An incoming report was read; what it says is kept beside the recipients it is about, up to `kept` for each. */
  readReport(report: QueueId, notes: readonly Note[], kept: number): Promise<void>

  /** Commits tombstones for settled messages that nobody has still to read; returns the buried ones whose record is not known to be freed, oldest first. */
  bury(limit: number): Promise<QueueId[]>
  /** Their records are gone. */
  freed(queueIds: readonly QueueId[], at: Date): Promise<void>
  /** Forgets pages freed before `freedBefore`, and tombstones older than `buriedBefore`; returns how many rows of either went. */
  prune(freedBefore: Date, buriedBefore: Date, limit: number): Promise<number>

  /** Messages whose recipients are not all known and that should have been routed by `now`, longest overdue first. */
  overdueMessages(now: Date, limit: number): Promise<OverdueMessage[]>
  /** Open recipients that should have moved on by `now`, longest overdue first. */
  overdueRecipients(now: Date, limit: number): Promise<Overdue[]>
  /** Looks at them again at `dueAt`. */
  postponeMessages(queueIds: readonly QueueId[], dueAt: Date): Promise<void>
  postponeRecipients(recipients: readonly { queueId: QueueId; n: RecipientKey }[], dueAt: Date): Promise<void>
  /** Everything open was compared with these. */
  noteStreams(streams: readonly KnownStream[]): Promise<void>
  /** Compare-and-set: the message's incarnation becomes `from + 1`. Null if it is no longer `from`, or the message is buried. */
  raiseIncarnation(queueId: QueueId, from: number): Promise<number | null>
}
