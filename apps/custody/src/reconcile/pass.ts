/**
 * One pass over what is overdue: look for it, and publish again what the bus lost.
 *
 * Something is lost when two looks at every place it can be at, a gap apart, found nothing, when MAIL_STATUS has been read past
 * the end it had after the second, and when the books then still say the same of it. The publication is a new incarnation,
 * raised by compare-and-set before; dying in between only makes the next pass do it again.
 *
 * Everything goes in pages along an index: a pass costs what is overdue, never what is open, and what was looked at is looked
 * at again only after as long again as it has waited.
 */
import type { QueueId } from '@postbus/contracts'

import { lookForMessage } from './messages.ts'
import type { Finding, ReconcilePorts } from './ports.ts'
import { lookForRecipients } from './recipients.ts'

export interface PassLimits {
  /** Rows looked at together. */
  page: number
  /** Pages of either kind in one pass; what is left waits for the next. */
  pages: number
  /** Between two looks at a suspect. */
  gapMs: number
  /** Until something that is on the bus is looked for again: as long as it has waited, within these. */
  againMs: { min: number; max: number }
}

export interface PassResult {
  found: number
  suspects: number
  republished: number
  /** Messages that must be routed again and have no spool record. */
  recordMissing: QueueId[]
}

export const nothingYet = (): PassResult => ({ found: 0, suspects: 0, republished: 0, recordMissing: [] })

/** @param result counts what is found as it is found: a pass that fails half-way has published again what it says it has */
export async function pass(
  ports: ReconcilePorts,
  limits: PassLimits,
  signal: AbortSignal,
  result: PassResult,
): Promise<void> {
  await inPages(
    () => ports.writer.overdueMessages(ports.now(), limits.page),
    async (rows) => {
      const again = new Postponed<QueueId>()
      await Promise.all(
        rows.map(async (row) => {
          const finding = await lookForMessage(ports, row)
          note(finding, row.queueId)
          again.add(row.queueId, dueAfter(finding, row.seenAt))
        }),
      )
      for (const [dueAt, ids] of again.groups()) await ports.writer.postponeMessages(ids, dueAt)
    },
  )
  await inPages(
    () => ports.writer.overdueRecipients(ports.now(), limits.page),
    async (rows) => {
      const again = new Postponed<Pick<(typeof rows)[number], 'queueId' | 'tracked'>>()
      const messages = Map.groupBy(rows, ({ queueId }) => queueId)
      await Promise.all(
        [...messages].map(async ([queueId, ofMessage]) => {
          const incarnation = ofMessage[0]?.incarnation ?? 0
          for (const [row, finding] of await lookForRecipients(ports, queueId, incarnation, ofMessage)) {
            note(finding, queueId)
            const { status, listing } = row.tracked
            again.add(row, dueAfter(finding, new Date(status?.at ?? listing?.at ?? row.entry.acceptedAt)))
          }
        }),
      )
      for (const [dueAt, late] of again.groups()) {
        const recipients = late.map(({ queueId, tracked }) => ({ queueId, n: tracked.n }))
        await ports.writer.postponeRecipients(recipients, dueAt)
      }
    },
  )

  async function inPages<Row>(next: () => Promise<Row[]>, look: (rows: Row[]) => Promise<void>): Promise<void> {
    for (let page = 0; page < limits.pages; page++) {
      signal.throwIfAborted()
      const rows = await next()
      if (rows.length > 0) await look(rows)
      if (rows.length < limits.page) return
    }
  }

  function note(finding: Finding, queueId: QueueId): void {
    if (finding === 'found') result.found++
    else if (finding === 'suspect') result.suspects++
    else if (finding === 'republished') result.republished++
    else if (finding === 'recordMissing') result.recordMissing.push(queueId)
  }

  function dueAfter(finding: Finding, since: Date): Date {
    const now = ports.now().getTime()
    if (finding === 'suspect') return new Date(now + limits.gapMs)
    const { min, max } = limits.againMs
    if (finding === 'recordMissing') return new Date(now + max)
    if (finding === 'moved' || finding === 'republished') return new Date(now + min)
    return new Date(now + Math.min(max, Math.max(min, now - since.getTime())))
  }
}

/** Rows by the time they are due again, rounded to seconds so that many share one write. */
class Postponed<Row> {
  readonly #groups = new Map<number, Row[]>()

  add(row: Row, dueAt: Date): void {
    const second = Math.ceil(dueAt.getTime() / 1000) * 1000
    const group = this.#groups.get(second)
    if (group) group.push(row)
    else this.#groups.set(second, [row])
  }

  *groups(): Iterable<[Date, Row[]]> {
    for (const [at, rows] of this.#groups) yield [new Date(at), rows]
  }
}
