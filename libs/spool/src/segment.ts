/**
 * What a reader knows of one segment: where each record begins. Filled from the sidecar as it grows, and by scanning where the
 * sidecar is short.
 */
import type { FileHandle } from 'node:fs/promises'

import type { QueueId } from '@postbus/contracts'
import { failedWith } from '@postbus/blobs/files'

import { decodeEntry, ENTRY_BYTES, type IndexEntry } from './index-entry.ts'
import { indexPath, type Layout, type SegmentName, segmentPath, timeOf } from './layout.ts'
import { KeptFile, readAt } from './kept-file.ts'
import { MAX_SEGMENT_RECORD_BYTES } from './record.ts'
import { promisedRecords } from './scan-segment.ts'
import { shared } from './shared.ts'

/** Octets of the sidecar read at once. */
const STEP_BYTES = 64 * 1024

/** The segment's file is gone: all its records were freed, or copied out to files of their own. */
export class SegmentGone extends Error {
  override readonly name = 'SegmentGone'
}

export interface Place {
  offset: number
  length: number
}

export interface TimeRange {
  earliest: number
  latest: number
}

export class Segment {
  readonly #name: SegmentName
  readonly #data: KeptFile
  readonly #index: KeptFile
  /** offset × MAX_SEGMENT_RECORD_BYTES + length: a number takes a tenth of an object's memory. */
  readonly #places = new Map<QueueId, number>()
  #indexed = 0
  #covered = 0
  #end: number | null = null
  #earliest = Infinity
  #latest = -Infinity

  constructor(layout: Layout, name: SegmentName) {
    this.#name = name
    this.#data = new KeptFile(segmentPath(layout, name.name))
    this.#index = new KeptFile(indexPath(layout, name.name))
  }

  get records(): number {
    return this.#places.size
  }

  /** Its writer said that it will not grow. */
  get ended(): boolean {
    return this.#end !== null
  }

  place(queueId: QueueId): Place | undefined {
    const packed = this.#places.get(queueId)
    return packed === undefined ? undefined : unpack(packed)
  }

  *entries(): Generator<IndexEntry> {
    for (const [queueId, packed] of this.#places) yield { queueId, ...unpack(packed) }
  }

  /** The times of its ids, once nothing further can come. */
  get range(): TimeRange | null {
    return this.#complete ? { earliest: this.#earliest, latest: this.#latest } : null
  }

  /** Takes in what the sidecar has more than last time. */
  readonly refresh: () => Promise<void> = shared(async () => {
    if (this.#complete) return
    try {
      await this.#index.use(async (file) => {
        while (this.#takeIn(await readAt(file, this.#indexed, STEP_BYTES)));
      })
    } catch (cause) {
      if (!failedWith(cause, 'ENOENT')) throw cause
    }
  })

  /**
   * Takes in records the sidecar does not have: those of a writer that died or could not write it. What stands behind the last
   * whole record is not counted. @throws SegmentGone
   */
  readonly scan: () => Promise<void> = shared(async () => {
    await this.refresh()
    if (this.#complete) return
    await this.#useData(async (file) => {
      const end = this.#end ?? (await file.stat()).size
      for await (const found of promisedRecords(file, this.#name.writer, this.#covered, end)) this.#add(found)
      if (this.#end !== null) this.#covered = this.#end
    })
  })

  /** The record's octets; fewer where the file is shorter. @throws SegmentGone */
  async read({ offset, length }: Place): Promise<Buffer> {
    return await this.#useData((file) => readAt(file, offset, length))
  }

  /** Closes files nobody used since the last call, so that a removed segment does not keep its space. */
  async rest(): Promise<void> {
    await this.#data.rest()
    await this.#index.rest()
  }

  async close(): Promise<void> {
    await this.#data.close()
    await this.#index.close()
  }

  get #complete(): boolean {
    return this.#end !== null && this.#covered >= this.#end
  }

  /** @returns whether the sidecar may have more */
  #takeIn(bytes: Buffer): boolean {
    let at = 0
    for (; at < bytes.length; at += ENTRY_BYTES) {
      const entry = decodeEntry(bytes, at)
      if (entry === null) break
      if ('end' in entry) this.#end = entry.end
      // Behind a gap: the sidecar lost entries, which a scan finds.
      else if (entry.offset > this.#covered) break
      else this.#add(entry)
    }
    this.#indexed += at
    return at > 0 && bytes.length === STEP_BYTES
  }

  #add({ queueId, offset, length }: IndexEntry): void {
    if (length >= MAX_SEGMENT_RECORD_BYTES) return
    this.#places.set(queueId, offset * MAX_SEGMENT_RECORD_BYTES + length)
    this.#covered = Math.max(this.#covered, offset + length)
    const time = timeOf(queueId)
    this.#earliest = Math.min(this.#earliest, time)
    this.#latest = Math.max(this.#latest, time)
  }

  async #useData<T>(work: (file: FileHandle) => Promise<T>): Promise<T> {
    try {
      return await this.#data.use(work)
    } catch (cause) {
      if (failedWith(cause, 'ENOENT')) throw new SegmentGone(`${this.#name.name} is gone`, { cause })
      throw cause
    }
  }
}

function unpack(packed: number): Place {
  const length = packed % MAX_SEGMENT_RECORD_BYTES
  return { offset: (packed - length) / MAX_SEGMENT_RECORD_BYTES, length }
}
