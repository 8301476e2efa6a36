/**
 * An operator's decision about a task that was set aside.
 *
 * Driven once more, the task is not the copy put back: it is made again from the books, as what the bus lost is, under a new incarnation
 * and so a message id that no stream has seen. What the books cannot make (statuses) is read again by today's contract.
 *
 *   retry   incarnation raised → task published → the books say so → copies removed
 *   drop    the books say so → copies removed
 *
 * Cut short anywhere the letter is still there, and doing it again does no harm: keys and ledger know what is done.
 */
import {
  type DeadAct,
  type DeadResult,
  entryOf,
  MailAccepted,
  MailStatus,
  type QueueId,
  recipientKey,
  type RecipientKey,
  type Status,
} from '@postbus/contracts'

import { nextAttempt, type Publication, publicationOf } from '../reconcile/task.ts'
import type { Books, BooksWriter, MessagePage, Overdue } from '../tracking/books.ts'
import { isOpen, type Tracked } from '../tracking/sheet.ts'
import { copiesOf, type DeadCopies, type DeadCopy, partsOf } from './letters.ts'

export interface ActPorts {
  books: Pick<Books, 'find' | 'findUnrouted'>
  writer: Pick<BooksWriter, 'raiseIncarnation' | 'record' | 'adopt'>
  copies: DeadCopies
  /** The event in the spool record; null when there is no such record. */
  record(queueId: QueueId): Promise<MailAccepted | null>
  publish(publication: Publication): Promise<void>
  publishAccepted(event: MailAccepted): Promise<void>
  now(): Date
}

/** RFC 3463 §3.1: 5.0.0, for which only the class is known. */
const DROPPED = {
  status: '5.0.0',
  reason: 'Given up by the postmaster: no service could handle it',
  rule: 'operator',
} as const

export async function actOnLetter(ports: ActPorts, id: string, act: DeadAct, by: string): Promise<DeadResult> {
  const found = await copiesOf(ports.copies, id)
  const result = await decide(ports, id, found, act, by)
  if (result === 'done' || result === 'ended') for (const copy of found) await ports.copies.remove(copy)
  return result
}

async function decide(
  ports: ActPorts,
  id: string,
  found: readonly DeadCopy[],
  act: DeadAct,
  by: string,
): Promise<DeadResult> {
  const parts = partsOf(id)
  const page = parts && (await ports.books.find(parts.queueId))
  const tracked = page?.recipients.find(({ n }) => n === parts?.n)
  if (page && tracked) {
    if (found.length === 0 && tracked.status?.kind !== 'dead') return 'unknown'
    return act.kind === 'retry'
      ? retryRecipient(ports, page, tracked, by)
      : dropRecipient(ports, page, tracked, act, by)
  }
  if (found.length === 0) return 'unknown'
  if (parts && found.some(({ letter }) => letter.stream === MailAccepted.stream.name)) {
    return act.kind === 'retry' ? retryMessage(ports, parts.queueId) : dropMessage(ports, parts.queueId, act, by)
  }
  return act.kind === 'retry' ? readAgain(ports, found) : 'done'
}

async function retryRecipient(ports: ActPorts, page: MessagePage, tracked: Tracked, by: string): Promise<DeadResult> {
  if (!isOpen(tracked)) return 'ended'
  const row = overdueOf(page, tracked)
  if (row === null) return 'unreadable'
  const { queueId, incarnation: from } = page
  const incarnation = await ports.writer.raiseIncarnation(queueId, from)
  if (incarnation === null) return 'moved'
  const publication = publicationOf(row, incarnation)
  if (publication === null) {
    // Decided by the router alone: there never was a task.
    const record = await ports.record(queueId)
    if (record === null) return 'noRecord'
    await ports.publishAccepted({ ...record, incarnation })
  } else {
    await ports.publish(publication)
  }
  // Of the attempt before the one that comes, as every release is.
  const attempt = nextAttempt(tracked.status) - 1
  await ports.writer.record([{ ...standing(ports, queueId, incarnation), n: tracked.n, attempt, kind: 'released', by }])
  return 'done'
}

async function dropRecipient(
  ports: ActPorts,
  { queueId, incarnation }: MessagePage,
  tracked: Tracked,
  act: Extract<DeadAct, { kind: 'drop' }>,
  by: string,
): Promise<DeadResult> {
  if (!isOpen(tracked)) return 'ended'
  const attempt = tracked.status?.attempt ?? 0
  await ports.writer.record([endOf(act, by, { ...standing(ports, queueId, incarnation), n: tracked.n, attempt })])
  return 'done'
}

async function retryMessage(ports: ActPorts, queueId: QueueId): Promise<DeadResult> {
  const record = await ports.record(queueId)
  if (record === null) return 'noRecord'
  await ports.writer.adopt([record])
  const from = await ports.books.findUnrouted(queueId)
  if (from === null) return 'ended'
  const incarnation = await ports.writer.raiseIncarnation(queueId, from)
  if (incarnation === null) return 'moved'
  await ports.publishAccepted({ ...record, incarnation })
  return 'done'
}

/** What was never routed is routed here, to an end: otherwise its recipients would not be in the books. */
async function dropMessage(
  ports: ActPorts,
  queueId: QueueId,
  act: Extract<DeadAct, { kind: 'drop' }>,
  by: string,
): Promise<DeadResult> {
  const record = await ports.record(queueId)
  // Without its record nothing is known of it, and nobody is waiting for it.
  if (record === null) return 'done'
  await ports.writer.adopt([record])
  const incarnation = await ports.books.findUnrouted(queueId)
  if (incarnation === null) return 'ended'
  const page = await ports.books.find(queueId)
  const { recipients, reversePath } = record.envelope
  const statuses = recipients.flatMap((recipient, original): Status[] => {
    if (page?.originals[original]?.routed) return []
    const { forwardPath } = recipient
    const n = recipientKey(forwardPath, forwardPath)
    const common = standing(ports, queueId, incarnation)
    return [
      {
        ...common,
        ...{ kind: 'routed', original, originals: recipients.length, page: 1, pages: 1, recipient },
        ...(original === 0 && { message: { ...entryOf(record), incarnation } }),
        recipients: [{ n, forwardPath, reversePath, destination: { kind: 'ended' } }],
      },
      endOf(act, by, { ...common, n, attempt: 0 }),
    ]
  })
  await ports.writer.record(statuses)
  return 'done'
}

/** Statuses that an older version could not read. */
async function readAgain({ writer }: ActPorts, found: readonly DeadCopy[]): Promise<DeadResult> {
  const read = found.map(({ letter }) => MailStatus.schema.safeParse(contentOf(letter.payload)))
  const statuses = read.flatMap(({ data }) => data?.statuses ?? [])
  if (read.some(({ success }) => !success)) return 'unreadable'
  await writer.record(statuses)
  return 'done'
}

function contentOf(payload: string): unknown {
  try {
    return JSON.parse(Buffer.from(payload, 'base64').toString())
  } catch {
    return undefined
  }
}

const standing = ({ now }: ActPorts, queueId: QueueId, incarnation: number) => ({
  ...{ queueId, incarnation, at: now().toISOString() },
})

function endOf(
  { report }: Extract<DeadAct, { kind: 'drop' }>,
  by: string,
  common: { queueId: QueueId; incarnation: number; at: string; n: RecipientKey; attempt: number },
): Status {
  return report ? { ...common, kind: 'failed', ...DROPPED } : { ...common, kind: 'cancelled', by }
}

/** Null: the books do not know what its sender wrote. */
function overdueOf({ queueId, entry, incarnation, originals }: MessagePage, tracked: Tracked): Overdue | null {
  const original = originals[tracked.listing?.original ?? -1]?.recipient
  return original ? { queueId, entry, incarnation, original, tracked } : null
}
