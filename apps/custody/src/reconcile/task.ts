/**
 * The task of an open recipient: where on the bus it can be, and how it is made again with the state last known.
 *
 * What is published again carries attempt, times and holds along, so that the bus continues where it was; the incarnation
 * tells the new copy from the lost one wherever they might meet.
 */
import {
  type EventContract,
  MailDead,
  MailHold,
  MailLocal,
  MailOut,
  MailOutLater,
  taskKey,
  taskOf,
} from '@postbus/contracts'

import type { Overdue } from '../tracking/books.ts'

export interface Place {
  contract: EventContract
  subject: string
  shard?: number
}

/**
 * Every place the task can be at, upstream first: it only moves downstream, so a look at each in this order meets it unless
 * it has ended. An outgoing task goes round between work and schedule, and an operator may put it into the hold or let it out;
 * it is looked for where it came from once more.
 */
export function placesOf(overdue: Overdue): Place[] {
  const task = localTask(overdue) ?? outgoingTask(overdue)
  if (task === null) return []
  const id = taskKey(overdue.queueId, overdue.tracked.n)
  if ('account' in task) {
    return [{ contract: MailLocal, subject: MailLocal.subject(task) }, deadPlace(MailLocal.stream.name, id)]
  }
  const { shard } = task
  const work: Place = { contract: MailOut, subject: MailOut.subject(task), shard }
  const schedule: Place = { contract: MailOutLater, subject: MailOutLater.subject(task), shard }
  const hold: Place = { contract: MailHold, subject: MailHold.subject({ task, heldAt: '', rule: '' }) }
  const dead = deadPlace(`${MailOut.stream.name}_${shard}`, id)
  switch (overdue.tracked.status?.kind) {
    case 'held':
      return [hold, work, schedule, work, hold, dead]
    case 'deferred':
      return [schedule, work, schedule, hold, dead]
    default:
      return [work, schedule, work, hold, dead]
  }
}

/** Where the bus library sets a poisoned task aside, whatever the reason. */
export const deadPlace = (stream: string, id: string): Place => ({
  contract: MailDead,
  subject: `mail.dead.v1.${stream}.*.${id}`,
})

export type Publication =
  | { kind: 'local'; event: MailLocal }
  | { kind: 'out'; event: MailOut }
  | { kind: 'later'; event: MailOut; at: Date }
  | { kind: 'hold'; event: MailHold }

/** Null: there is no task to make again; the router must decide anew. */
export function publicationOf(overdue: Overdue, incarnation: number): Publication | null {
  const renewed = { ...overdue, entry: { ...overdue.entry, incarnation } }
  const local = localTask(renewed)
  if (local) return { kind: 'local', event: local }
  const event = outgoingTask(renewed)
  if (event === null) return null
  const { status } = overdue.tracked
  if (status?.kind === 'held') return { kind: 'hold', event: { task: event, heldAt: status.at, rule: status.rule } }
  if (status?.kind === 'deferred') return { kind: 'later', event, at: new Date(status.nextAttemptAt) }
  return { kind: 'out', event }
}

function localTask({ entry, original, tracked }: Overdue): MailLocal | null {
  const final = tracked.listing?.final
  if (final?.destination.kind !== 'local') return null
  const { account, detail } = final.destination
  return { ...taskOf(entry, original, final), account, detail }
}

function outgoingTask({ entry, original, tracked }: Overdue): MailOut | null {
  const final = tracked.listing?.final
  if (final?.destination.kind !== 'remote') return null
  const { site, shard, expiresAt } = final.destination
  const { status, firstAttemptAt } = tracked
  const lastReply = status && 'reply' in status ? status.reply : undefined
  const via = status && 'via' in status ? status.via : undefined
  return {
    ...taskOf(entry, original, final),
    site,
    shard,
    expiresAt,
    attempt: nextAttempt(tracked.status),
    spills: 0,
    ...(entry.account !== undefined && { submitter: entry.account }),
    ...(via !== undefined && { via }),
    ...(status?.kind === 'released' && { released: true as const }),
    ...(firstAttemptAt !== null && { firstAttemptAt }),
    ...(lastReply !== undefined && { lastReply }),
  }
}

/** A deferral and a release name the attempt that was; a hold the one that was going to be. */
export function nextAttempt(status: Overdue['tracked']['status']): number {
  if (status === null) return 1
  return status.kind === 'deferred' || status.kind === 'released' ? status.attempt + 1 : Math.max(1, status.attempt)
}

/** The first place that holds it. One after the other, in the order given: see placesOf. */
export async function findAmong(
  { holds }: { holds(place: Place): Promise<boolean> },
  places: readonly Place[],
): Promise<Place | null> {
  for (const place of places) if (await holds(place)) return place
  return null
}
