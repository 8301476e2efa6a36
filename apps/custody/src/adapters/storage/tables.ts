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
  }
  original: { queue_id: string; original: number; recipient: string | null; routed: number }
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
