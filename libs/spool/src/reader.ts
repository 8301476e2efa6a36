/**
 * Finds records by queue id, in segments and files, whatever process wrote them.
 *
 * A record only ever moves from a segment to a file of its own, which is durable before the segment goes. So whoever looks
 * into segments first and at files last finds it.
 */
import type { QueueId } from '@postbus/contracts'

import { Catalog } from './catalog.ts'
import { type Layout, layoutOf, timeOf } from './layout.ts'
import { type Found, locate, locateScanning } from './locate.ts'
import { fileRecord, wholeRecord } from './record-reader.ts'
import { SegmentGone } from './segment.ts'
import { NoSuchRecord, type SpoolReader, type SpoolRecord } from './spool.ts'

/** What was written since then is still in the system's memory. */
const FRESH_MS = 120_000

export interface LocalReaderOptions {
  /** Places of records kept in memory, about 60 octets each; others are read again from the index. Default 500,000. */
  maxPlaces?: number
}

/** The directory need not be there yet. */
export function openLocalReader(dir: string, { maxPlaces = 500_000 }: LocalReaderOptions = {}): SpoolReader {
  return new LocalSpoolReader(layoutOf(dir), new Catalog(layoutOf(dir), { maxPlaces }))
}

class LocalSpoolReader implements SpoolReader {
  readonly #layout: Layout
  readonly #catalog: Catalog

  constructor(layout: Layout, catalog: Catalog) {
    this.#layout = layout
    this.#catalog = catalog
  }

  async open(queueId: QueueId): Promise<SpoolRecord> {
    const record =
      (await this.#read(queueId, await locate(this.#catalog, queueId))) ??
      (await fileRecord(this.#layout, queueId)) ??
      (await this.#search(queueId))
    if (!record) throw new NoSuchRecord(`no record of ${queueId}`)
    return record
  }

  async close(): Promise<void> {
    await this.#catalog.close()
  }

  async #search(queueId: QueueId): Promise<SpoolRecord | null> {
    await this.#catalog.refresh()
    const record = await this.#read(queueId, await locateScanning(this.#catalog, queueId))
    return record ?? (await fileRecord(this.#layout, queueId))
  }

  /** Null where the segment went while we looked. */
  async #read(queueId: QueueId, found: Found | null): Promise<SpoolRecord | null> {
    if (!found) return null
    try {
      const isFresh = Date.now() - timeOf(queueId) < FRESH_MS
      return wholeRecord(queueId, await found.segment.read(found.place, { isFresh }), null)
    } catch (cause) {
      if (!(cause instanceof SegmentGone)) throw cause
      await this.#catalog.forget(found.name)
      return null
    }
  }
}
