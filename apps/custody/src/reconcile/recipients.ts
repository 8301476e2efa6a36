/** Open recipients of one message that should have moved on: somewhere on the bus still, or lost. */
import { MailDead, MailLocal, MailOut, type QueueId, type Status } from '@postbus/contracts'

import type { Overdue } from '../tracking/books.ts'
import { isEnd, type RecipientStatus, supersedes } from '../tracking/order.ts'
import { isOpen, type Tracked } from '../tracking/sheet.ts'
import { acceptAgain, acceptedPlaces } from './messages.ts'
import type { Finding, ReconcilePorts } from './ports.ts'
import { findAmong, nextAttempt, placesOf, publicationOf } from './task.ts'

/** @param rows all of one message and one incarnation */
export async function lookForRecipients(
  ports: ReconcilePorts,
  queueId: QueueId,
  incarnation: number,
  rows: readonly Overdue[],
): Promise<Map<Overdue, Finding>> {
  const findings = new Map<Overdue, Finding>()
  const candidates: Overdue[] = []
  for (const row of rows) {
    const key = `${queueId}.${row.tracked.n}`
    const places = placesOf(row)
    const place = await findAmong(ports, places.length > 0 ? places : acceptedPlaces(row.entry))
    if (place) {
      ports.suspects.cleared(key)
      if (place.contract === MailDead) await ports.writer.record([setAside(row)])
      findings.set(row, 'found')
    } else if (ports.suspects.notFound(key, versionOf(row)) === 'second') {
      candidates.push(row)
    } else {
      findings.set(row, 'suspect')
    }
  }
  if (candidates.length === 0) return findings
  if (!(await ports.statusesRead())) {
    for (const row of candidates) findings.set(row, 'suspect')
    return findings
  }

  const lost: Overdue[] = []
  for (const row of candidates) {
    ports.suspects.cleared(`${queueId}.${row.tracked.n}`)
    const now = await ports.books.findRecipient(queueId, row.tracked.n)
    if (now !== null && isOpen(now.tracked) && versionOf({ ...row, ...now }) === versionOf(row)) lost.push(row)
    else findings.set(row, 'moved')
  }
  const told = lost.length === 0 ? new Map<Overdue, RecipientStatus>() : await ports.askOwners(lost)
  if (told === null) {
    for (const row of lost) findings.set(row, 'suspect')
    return findings
  }
  if (told.size > 0) await ports.writer.record([...told.values()])
  const unfinished: Overdue[] = []
  for (const row of lost) {
    const status = told.get(row)
    if (status && isEnd(status)) findings.set(row, 'moved')
    else unfinished.push(status ? { ...row, tracked: standing(row.tracked, status) } : row)
  }
  for (const [row, finding] of await publishAgain(ports, queueId, incarnation, unfinished)) findings.set(row, finding)
  return findings
}

/** As the books have it after this news; an older word than theirs changes nothing. */
const standing = (tracked: Tracked, status: RecipientStatus): Tracked =>
  tracked.status === null || supersedes(status, tracked.status) ? { ...tracked, status } : tracked

async function publishAgain(
  ports: ReconcilePorts,
  queueId: QueueId,
  from: number,
  lost: readonly Overdue[],
): Promise<Map<Overdue, Finding>> {
  const tasks = lost.filter((row) => placesOf(row).length > 0)
  const undecided = lost.filter((row) => placesOf(row).length === 0)
  const findings = new Map<Overdue, Finding>()
  let incarnation: number | null = from
  if (tasks.length > 0) {
    incarnation = await ports.writer.raiseIncarnation(queueId, from)
    for (const row of tasks) {
      const publication = incarnation === null ? null : publicationOf(row, incarnation)
      if (publication) await ports.publish(publication)
      findings.set(row, publication ? 'republished' : 'moved')
    }
  }
  if (undecided.length > 0) {
    // The router's own decision was lost, not a task: only the router can make it again.
    const finding = incarnation === null ? 'moved' : await acceptAgain(ports, queueId, incarnation)
    for (const row of undecided) findings.set(row, finding)
  }
  return findings
}

/** Nobody but the bus library knew of it when it happened; now the books do. */
function setAside({ queueId, incarnation, tracked }: Overdue): Status {
  const stream = tracked.listing?.final.destination.kind === 'local' ? MailLocal.stream.name : MailOut.stream.name
  const attempt = nextAttempt(tracked.status)
  const at = tracked.status?.at ?? tracked.listing?.at ?? new Date(0).toISOString()
  return { kind: 'dead', queueId, incarnation, n: tracked.n, attempt, at, stream, reason: 'found in MAIL_DEAD' }
}

/** Changes with everything the books learn about the recipient. */
function versionOf({ incarnation, tracked }: { incarnation: number; tracked: Tracked }): string {
  const { status, listing } = tracked
  return [incarnation, listing?.incarnation, status?.kind, status?.incarnation, status?.attempt, status?.at].join('/')
}
