/**
 * The page of the books about one message, and how a status changes it.
 *
 * Applying a set of statuses gives the same page whatever their order and however often each comes. A status about a
 * recipient that no `routed` has named yet is kept beside the page, and counts once it is named.
 */
import {
  entryOf,
  type FinalRecipient,
  type MailAccepted,
  type MessageEntry,
  type QueueId,
  type Recipient,
  type RecipientKey,
  type RecipientState,
  type Status,
} from '@postbus/contracts'

import { isAttempt, isEnd, isSameNews, type RecipientStatus, supersedes } from './order.ts'

export interface TrackedMessage {
  queueId: QueueId
  /** Unknown until page 1 of the first original's `routed`, or the spool record, has been seen. */
  entry: MessageEntry | null
  /** How many original recipients; unknown until one of them was routed. */
  originals: number | null
  /** The highest incarnation seen or made. */
  incarnation: number
  /** How many of its recipients were merged into others. */
  merges: number
  /** It came as a delivery report, and has not been read for what it says of messages of ours. */
  unread: boolean
}

export interface Original {
  recipient: Recipient | null
  /** All pages of one run's `routed` have come. */
  routed: boolean
  /** Final recipients that a `routed` has named for it, of all runs. */
  named: number
  /** The report that told what it stands for: others, or a list. */
  report: QueueId | null
  /** When somebody decides whether that must be told (ms). */
  reportDueAt: number | null
}

export const newOriginal = (recipient: Recipient | null): Original => ({
  ...{ recipient, routed: false, named: 0, report: null, reportDueAt: null },
})

export interface Page {
  original: number
  incarnation: number
  page: number
}

export interface Tracked {
  n: RecipientKey
  /** Null while only statuses have come: such a recipient is not in the books yet. */
  listing: Listing | null
  status: RecipientStatus | null
  /** When the first attempt that is known of ended. */
  firstAttemptAt: string | null
  /** The report that told of its end, and the one that told of its delay. */
  report: QueueId | null
  delayReport: QueueId | null
}

export interface Listing {
  original: number
  incarnation: number
  at: string
  final: FinalRecipient
}

/** Everything `applyStatus` may need to see, loaded before; what it changed is noted in `changed`. */
export interface Sheet {
  message: TrackedMessage
  originals: Map<number, Original>
  /** Pages of runs that are not complete yet, by `pageKey`. */
  pages: Map<string, Page>
  recipients: Map<RecipientKey, Tracked>
  changed: {
    message: boolean
    originals: Set<number>
    pages: Set<string>
    recipients: Set<RecipientKey>
    /** Statuses that do not stand, or no longer. */
    superseded: RecipientStatus[]
  }
}

export function emptySheet(queueId: QueueId): Sheet {
  return {
    message: { queueId, entry: null, originals: null, incarnation: 0, merges: 0, unread: false },
    originals: new Map(),
    pages: new Map(),
    recipients: new Map(),
    changed: { message: false, originals: new Set(), pages: new Set(), recipients: new Set(), superseded: [] },
  }
}

export const pageKey = ({ original, incarnation, page }: Page): string => `${original}/${incarnation}/${page}`

export function applyStatus(sheet: Sheet, status: Status): void {
  const { message, changed } = sheet
  if (status.incarnation > message.incarnation) {
    message.incarnation = status.incarnation
    changed.message = true
  }
  if (status.kind === 'routed') applyRouted(sheet, status)
  else applyRecipientStatus(sheet, status)
}

/** What the spool record says, for a message whose `routed` was not seen. */
export function applyRecord({ message, originals, changed }: Sheet, accepted: MailAccepted): void {
  learnEntry(message, entryOf(accepted))
  message.originals = accepted.envelope.recipients.length
  changed.message = true
  for (const [index, recipient] of accepted.envelope.recipients.entries()) {
    originals.set(index, { ...(originals.get(index) ?? newOriginal(null)), recipient })
    changed.originals.add(index)
  }
}

/** What `applyStatus` will look at. */
export function originalsIn(statuses: readonly Status[]): Set<number> {
  return new Set(statuses.flatMap((status) => (status.kind === 'routed' ? [status.original] : [])))
}

export function recipientsIn(statuses: readonly Status[]): Set<RecipientKey> {
  return new Set(
    statuses.flatMap((status) => (status.kind === 'routed' ? status.recipients.map(({ n }) => n) : [status.n])),
  )
}

/** The facts, from whoever brings them first. */
function learnEntry(message: TrackedMessage, entry: MessageEntry): void {
  // Which run's copy it was must not show; `message.incarnation` counts.
  message.entry = { ...entry, incarnation: 0 }
  message.unread = entry.report === true
}

function applyRouted(sheet: Sheet, routed: Extract<Status, { kind: 'routed' }>): void {
  const { message, changed } = sheet
  if (message.originals === null) {
    message.originals = routed.originals
    changed.message = true
  }
  if (routed.message && message.entry === null) {
    learnEntry(message, routed.message)
    changed.message = true
  }

  const original = originalOf(sheet, routed.original)
  if (routed.recipient && original.recipient === null) {
    original.recipient = routed.recipient
    changed.originals.add(routed.original)
  }
  if (!original.routed) {
    keepPage(sheet, routed)
    original.routed = runIsComplete(sheet, routed)
    changed.originals.add(routed.original)
  }

  for (const final of routed.recipients) {
    const tracked = trackedOf(sheet, final.n)
    const listing = { original: routed.original, incarnation: routed.incarnation, at: routed.at, final }
    const known = tracked.listing
    if (known === null) {
      original.named++
      changed.originals.add(routed.original)
    }
    if (known === null || replacesListing(listing, known)) {
      tracked.listing = listing
      changed.recipients.add(final.n)
      if (isMerged(listing) !== isMerged(known)) {
        message.merges += isMerged(listing) ? 1 : -1
        changed.message = true
      }
    }
  }
}

const isMerged = (listing: Listing | null): boolean => listing?.final.destination.kind === 'merged'

function applyRecipientStatus(sheet: Sheet, status: RecipientStatus): void {
  const tracked = trackedOf(sheet, status.n)
  const { changed } = sheet
  const known = tracked.status
  const stands = known === null || supersedes(status, known)
  if (known !== null && !isSameNews(status, known)) changed.superseded.push(stands ? known : status)
  if (stands) {
    tracked.status = status
    changed.recipients.add(status.n)
  }
  if (isAttempt(status) && (tracked.firstAttemptAt === null || status.at < tracked.firstAttemptAt)) {
    tracked.firstAttemptAt = status.at
    changed.recipients.add(status.n)
  }
}

function originalOf({ originals, changed }: Sheet, index: number): Original {
  let original = originals.get(index)
  if (original === undefined) {
    original = newOriginal(null)
    originals.set(index, original)
    changed.originals.add(index)
  }
  return original
}

function trackedOf({ recipients }: Sheet, n: RecipientKey): Tracked {
  let tracked = recipients.get(n)
  if (tracked === undefined) {
    tracked = { n, listing: null, status: null, firstAttemptAt: null, report: null, delayReport: null }
    recipients.set(n, tracked)
  }
  return tracked
}

function keepPage({ pages, changed }: Sheet, { original, incarnation, page, pages: count }: Routed): void {
  if (count === 1) return
  const kept = { original, incarnation, page }
  const key = pageKey(kept)
  if (pages.has(key)) return
  pages.set(key, kept)
  changed.pages.add(key)
}

function runIsComplete({ pages }: Sheet, { original, incarnation, pages: count }: Routed): boolean {
  if (count === 1) return true
  for (let page = 1; page <= count; page++) if (!pages.has(pageKey({ original, incarnation, page }))) return false
  return true
}

type Routed = Extract<Status, { kind: 'routed' }>

/**
 * Two runs may have decided differently. Work that was published must end by itself, so it beats an end the router
 * decided, and that beats being somebody's copy; then the later run counts.
 */
function replacesListing(listing: Listing, known: Listing): boolean {
  const weight = { merged: 0, ended: 1, local: 2, remote: 2 } as const
  const order =
    weight[listing.final.destination.kind] - weight[known.final.destination.kind] ||
    listing.incarnation - known.incarnation
  if (order !== 0) return order > 0
  if (listing.at !== known.at) return listing.at < known.at
  return JSON.stringify(listing) > JSON.stringify(known)
}

/** Whether the message still waits for this recipient. One that nobody named, or that is somebody's copy, holds nothing up. */
export function isOpen({ listing, status }: Tracked): boolean {
  if (listing === null || listing.final.destination.kind === 'merged') return false
  return status === null || !isEnd(status)
}

export function stateOf({ status }: Pick<Tracked, 'status'>): RecipientState {
  return status === null || status.kind === 'released' ? 'routed' : status.kind
}

/**
 * A recipient that was merged into another, as it stands: with what became of the other. Of a server that takes over
 * NOTIFY only the other's was heard, so it reports nothing of this one.
 */
export function withFateOf(copy: Tracked, first: Tracked): Tracked {
  if (copy.listing === null || first.listing === null) return copy
  const { destination } = first.listing.final
  const { status, firstAttemptAt } = first
  return {
    ...copy,
    listing: { ...copy.listing, final: { ...copy.listing.final, destination } },
    status: status?.kind === 'relayed' ? { ...status, dsn: false } : status,
    firstAttemptAt,
  }
}

/** What is told of the other says everything of the copy too: the same original recipient, and the same person to tell. */
export function isToldWith({ listing: copy }: Tracked, { listing: first }: Tracked): boolean {
  return copy?.original === first?.original && copy?.final.reversePath === first?.final.reversePath
}
