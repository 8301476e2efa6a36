/** Messages that should have been routed: still on their way to the router, or lost before it. */
import { MailAccepted, Origin, type QueueId } from '@postbus/contracts'

import type { OverdueMessage } from '../tracking/books.ts'
import type { Finding, ReconcilePorts } from './ports.ts'
import { deadPlace, findAmong, type Place } from './task.ts'

export async function lookForMessage(ports: ReconcilePorts, overdue: OverdueMessage): Promise<Finding> {
  const { queueId, incarnation } = overdue
  const { suspects } = ports
  if (await findAmong(ports, acceptedPlaces(overdue))) {
    suspects.cleared(queueId)
    return 'found'
  }
  if (suspects.notFound(queueId, String(incarnation)) !== 'second') return 'suspect'
  if (!(await ports.statusesRead())) return 'suspect'
  suspects.cleared(queueId)
  if ((await ports.books.findUnrouted(queueId)) !== incarnation) return 'moved'
  return acceptAgain(ports, queueId, incarnation)
}

/** Publishes the message for the router as a new incarnation. */
export async function acceptAgain(ports: ReconcilePorts, queueId: QueueId, from: number): Promise<Finding> {
  const record = await ports.record(queueId)
  if (record === null) return 'recordMissing'
  const incarnation = await ports.writer.raiseIncarnation(queueId, from)
  if (incarnation === null) return 'moved'
  await ports.publishAccepted({ ...record, incarnation })
  return 'republished'
}

export function acceptedPlaces({ queueId, origin }: Pick<OverdueMessage, 'queueId' | 'origin'>): Place[] {
  const origins = origin === null ? Origin.options : [origin]
  return [
    ...origins.map((one) => ({ contract: MailAccepted, subject: `mail.accepted.v1.${one}.${queueId}` })),
    // The second token of its id is a hash: an accepted message has no recipient of its own.
    deadPlace(MailAccepted.stream.name, `${queueId}.*`),
  ]
}
