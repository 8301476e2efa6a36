/**
 * What nobody needs any more goes: rows nothing shows, their blobs after a grace, literals of dead sessions, blobs of
 * deliveries that died half-way. What searches are helped by comes. Every step may be done by two processes at once and may be done twice.
 */
import { setTimeout as sleep } from 'node:timers/promises'

import type { BlobStore } from '@postbus/blobs'
import { STAGED_PREFIX } from '@postbus/contracts'
import type { Logger } from 'pino'

import type { MailStorage } from '../mailbox/storage.ts'
import type { MailstoreMetrics } from '../metrics.ts'
import { CONTENT_PREFIX, contentKeyTime } from './spool-contents.ts'

export interface HousekeepingOptions {
  purgeMs: number
  undeleteMs: number
  blobGraceMs: number
  sweepMs: number
  stagedAgeMs: number
  orphanAgeMs: number
  indexMs: number
  /** Of the time of one core: a fraction. */
  indexShare: number
}

interface Ports {
  storage: MailStorage
  blobs: Pick<BlobStore, 'list' | 'delete' | 'sweep'>
  log: Logger
  metrics: Pick<MailstoreMetrics, 'purgedRows' | 'removedBlobs' | 'indexedTexts'>
}

/** Asked of the database at once. */
const ORPHAN_BATCH = 500

/** Until the signal; a round that fails is tried again at the next. */
export async function keepHouse(ports: Ports, options: HousekeepingOptions, signal: AbortSignal): Promise<void> {
  await Promise.all([
    every(options.purgeMs, ports, signal, () => purge(ports, options, signal)),
    every(options.sweepMs, ports, signal, () => sweep(ports, options, signal)),
    every(options.indexMs, ports, signal, () => index(ports, options.indexShare, signal)),
  ])
}

async function every(pauseMs: number, { log }: Ports, signal: AbortSignal, round: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await sleep(pauseMs, undefined, { signal, ref: false })
      await round()
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, 'housekeeping failed')
    }
  }
}

export async function purge(
  { storage, blobs, metrics }: Ports,
  { undeleteMs, blobGraceMs }: Pick<HousekeepingOptions, 'undeleteMs' | 'blobGraceMs'>,
  signal: AbortSignal,
): Promise<void> {
  let removed: string[] = []
  do {
    const at = Date.now()
    const outcome = await storage.write('purge', {
      at,
      expungedBefore: at - undeleteMs,
      blobsBefore: at - blobGraceMs,
      removed,
    })
    if (outcome.kind === 'refused') throw new Error(outcome.reason)
    // First the bytes, then the note that they are to go: the other way round a crash would leave them for ever.
    for (const blob of outcome.value.blobs) await blobs.delete(blob)
    removed = outcome.value.blobs
    metrics.purgedRows.inc(outcome.value.rows)
    metrics.removedBlobs.inc({ reason: 'unused' }, removed.length)
    if (outcome.value.rows === 0 && removed.length === 0) return
  } while (!signal.aborted)
}

/** Until all is indexed. After each step it rests, so that it takes its share of a core and no more. */
export async function index({ storage, log, metrics }: Ports, share: number, signal: AbortSignal): Promise<void> {
  for (let more = true; more && !signal.aborted;) {
    const begun = performance.now()
    const step = await storage.index()
    metrics.indexedTexts.inc({ outcome: 'read' }, step.texts - step.unreadable)
    metrics.indexedTexts.inc({ outcome: 'unreadable' }, step.unreadable)
    if (step.unreadable > 0) log.warn({ contents: step.unreadable }, 'contents that cannot be read are not indexed')
    more = step.more
    if (more) await sleep((performance.now() - begun) * (1 / share - 1), undefined, { signal, ref: false })
  }
}

export async function sweep(ports: Ports, { stagedAgeMs, orphanAgeMs }: HousekeepingOptions, signal: AbortSignal) {
  const { blobs, metrics } = ports
  const now = Date.now()
  for await (const { key, modifiedAt } of blobs.list(STAGED_PREFIX)) {
    if (signal.aborted) return
    if (now - modifiedAt.getTime() < stagedAgeMs) continue
    await blobs.delete(key)
    metrics.removedBlobs.inc({ reason: 'staged' })
  }
  let old: string[] = []
  for await (const { key } of blobs.list(CONTENT_PREFIX)) {
    if (signal.aborted) return
    // A delivery that is under way has adopted its bytes and not yet committed: only what is old by its key is looked at.
    if (!(now - contentKeyTime(key) >= orphanAgeMs)) continue
    old.push(key)
    if (old.length < ORPHAN_BATCH) continue
    await removeOrphans(ports, old)
    old = []
  }
  if (old.length > 0) await removeOrphans(ports, old)
  // What a crash left half-written has no key yet.
  metrics.removedBlobs.inc({ reason: 'unfinished' }, await blobs.sweep(new Date(now - stagedAgeMs)))
}

async function removeOrphans({ storage, blobs, metrics }: Ports, old: string[]): Promise<void> {
  const named = new Set(await storage.read('namedBlobs', { blobs: old }))
  for (const key of old) {
    if (named.has(key)) continue
    await blobs.delete(key)
    metrics.removedBlobs.inc({ reason: 'orphaned' })
  }
}
