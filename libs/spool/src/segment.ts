/**
 * What a reader knows of one segment: where each record begins. Filled from the sidecar as it grows, and by scanning where the
 * sidecar is short.
 */
import { access, type FileHandle } from 'node:fs/promises'

import { failedWith } from '@postbus/blobs/files'
import type { QueueId } from '@postbus/contracts'

import { Entries } from './entries.ts'
import { encodeEntries, ENTRY_BYTES, type IndexEntry, isEnd, isEntry, type Place, placeAt } from './index-entry.ts'
import { KeptFile, readAt, readAtOnce } from './kept-file.ts'
import { indexPath, type Layout, type SegmentName, segmentPath } from './layout.ts'
import { promisedRecords } from './scan-segment.ts'
import { shared } from './shared.ts'

/** Octets of the sidecar read at once: whole entries. */
const STEP_BYTES = 4096 * ENTRY_BYTES
/** Copying more takes longer than a thread does. */
const FRESH_BYTES = 64 * 1024

/** The segment's file is gone: all its records were freed, or copied out to files of their own. */
export class SegmentGone extends Error {
  override readonly name = 'SegmentGone'
}

/** First ten characters of queue ids. */
export interface TimeRange {
  earliest: string
  latest: string
}

export class Segment {
  readonly #name: SegmentName
  readonly #path: string
  readonly #data: KeptFile
  readonly #index: KeptFile
  readonly #entries = new Entries()
  #indexed = 0
  #covered = 0
  #end: number | null = null
  #range: TimeRange | null = null

  constructor(layout: Layout, name: SegmentName) {
    this.#name = name
    this.#path = segmentPath(layout, name.name)
    this.#data = new KeptFile(this.#path)
    this.#index = new KeptFile(indexPath(layout, name.name))
  }

  get records(): number {
    return this.#entries.count
  }

  /** Its writer said that it will not grow. */
  get ended(): boolean {
    return this.#end !== null
  }

  /** The times of its ids, once nothing further can come. */
  get range(): TimeRange | null {
    if (this.#complete) this.#range ??= this.#entries.times()
    return this.#range
  }

  place(queueId: QueueId): Place | undefined {
    return this.#entries.find(queueId)
  }

  /** In the order written. */
  entries(): Iterable<IndexEntry> {
    return this.#entries
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
      for await (const found of promisedRecords(file, this.#name.writer, this.#covered, end)) {
        // The sidecar may have grown meanwhile, and been taken in.
        if (found.offset < this.#covered) continue
        if (!this.#entries.find(found.queueId)) this.#entries.add(encodeEntries([found]))
        this.#covered = found.offset + found.length
      }
      if (this.#end !== null) this.#covered = this.#end
    })
  })

  /**
   * The record's octets; fewer where the file is shorter. @throws SegmentGone
   * @param isFresh it was written a moment ago: the system has it in memory, and asking a thread to read it costs four times as much
   */
  async read({ offset, length }: Place, { isFresh = false } = {}): Promise<Buffer> {
    return await this.#useData(async (file) =>
      isFresh && length <= FRESH_BYTES ? readAtOnce(file, offset, length) : readAt(file, offset, length),
    )
  }

  /** A file of it that is open outlives it. @throws SegmentGone */
  async mustStand(): Promise<void> {
    await this.#unlessGone(access(this.#path))
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
    // Where entries begin that are new: those before were found by a scan.
    let fresh = 0
    for (; isEntry(bytes, at) && !isEnd(bytes, at); at += ENTRY_BYTES) {
      const { offset, length } = placeAt(bytes, at)
      // Behind a gap: the sidecar lost entries, which a scan finds.
      if (offset > this.#covered) break
      if (offset < this.#covered) fresh = at + ENTRY_BYTES
      else this.#covered = offset + length
    }
    this.#entries.add(bytes.subarray(fresh, at))
    this.#indexed += at
    if (isEntry(bytes, at) && isEnd(bytes, at)) this.#takeEnd(placeAt(bytes, at).offset)
    return at > 0 && bytes.length === STEP_BYTES
  }

  /** A scan may have seen a flush that failed then and was cut off. */
  #takeEnd(end: number): void {
    this.#end = end
    this.#entries.dropFrom(end)
    this.#covered = Math.min(this.#covered, end)
  }

  #useData<T>(work: (file: FileHandle) => Promise<T>): Promise<T> {
    return this.#unlessGone(this.#data.use(work))
  }

  async #unlessGone<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (cause) {
      if (failedWith(cause, 'ENOENT')) throw new SegmentGone(`${this.#name.name} is gone`, { cause })
      throw cause
    }
  }
}
