import type { RecipientState } from '@postbus/contracts'

export interface Tables {
  leadership: { id: number; epoch: number; lease_revision: number }
  message: {
    queue_id: string
    phase: number
    incarnation: number
    originals: number | null
    /** JSON of a MessageEntry. */
    entry: string | null
    seen_at: number
    unrouted_due_at: number | null
    freed_at: number | null
    /** How many of its recipients were merged into others. */
    merges: number
    /** 1: a delivery report nobody has read yet. */
    unread: number
    /** For look-ups, see hashes.ts; null while the facts are not known. */
    accepted_hour: number | null
    message_id_hash: number | null
    sender_hash: number | null
  }
  original: {
    queue_id: string
    original: number
    recipient: string | null
    routed: number
    /** How many final recipients its `routed` named. */
    named: number
    /** For look-ups: that of the message, and of the address as the sender wrote it. */
    accepted_hour: number | null
    address_hash: number | null
    /** Queue id of the report that told of its expansion. */
    report: string | null
    report_due_at: number | null
  }
  routed_page: { queue_id: string; original: number; incarnation: number; page: number }
  recipient: {
    queue_id: string
    n: string
    /** As the listing has it; null while no `routed` has named it. */
    original: number | null
    /** JSON of a Listing. */
    listing: string | null
    /** JSON of the status that stands. */
    status: string | null
    first_attempt_at: string | null
    state: RecipientState
    open: number
    due_at: number | null
    /** Queue ids of the reports that told of its end, and of its delay. */
    report: string | null
    delay_report: string | null
    /** When somebody decides whether there is something to tell. */
    report_due_at: number | null
    /** Of an open outgoing recipient, otherwise null: its site, when its message was accepted, when it is tried again. */
    site: string | null
    accepted_at: number | null
    next_attempt_at: number | null
    /** Who is served in its place. */
    merged_into: string | null
  }
  /** Statuses that do not stand, by their place in the order. */
  history: {
    queue_id: string
    n: string
    ended: number
    incarnation: number
    attempt: number
    rank: number
    at: string
    /** JSON of the status. */
    status: string
  }
  /** What others reported of recipients, by the message that brought it. */
  later_report: {
    queue_id: string
    n: string
    report: string
    at: string
    /** JSON of a LaterReport. */
    note: string
  }
  report: {
    queue_id: string
    /** The message it is about. */
    about: string
    /** JSON of a ReportPlan. */
    plan: string
    due_at: number
    done_at: number | null
  }
  /** Streams as they were when everything open was last compared with them. */
  stream: { name: string; created_at: string; last_sequence: number }
  tombstone: { queue_id: string; buried_at: number; freed_at: number | null }
}

export const PHASES = ['open', 'reportDue', 'settled', 'buried', 'freed'] as const
export const OPEN = 0
export const REPORT_DUE = 1
export const SETTLED = 2
export const BURIED = 3
export const FREED = 4

/** A status' place in the order of its recipient's, as columns. */
export const PLACE = ['ended', 'incarnation', 'attempt', 'rank'] as const
