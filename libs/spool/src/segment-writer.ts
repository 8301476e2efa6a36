/**
 * Appends groups of records to this writer's own segment: one writev and one fdatasync for all of a group.
 *
 * A segment is never appended to again after a failure: what fdatasync could not write is gone from the page cache, and a
 * second call would report success for it.
 */
import { performance } from 'node:perf_hooks'

import type { QueueId } from '@postbus/contracts'

import { asSpoolFull, type Disk, type DiskFile, writeFully } from './disk.ts'
import { encodeEnd, encodeEntries, type IndexEntry } from './index-entry.ts'
import { belongs, indexPath, type Layout, segmentName, segmentPath, timeOf } from './layout.ts'
import { atMost } from '@postbus/batch'

export interface Appending {
  queueId: QueueId
  /** The record's octets in a flush with this number. */
  encode(flush: number): Uint8Array[]
  length: number
}

export interface SegmentLimits {
  segmentMaxBytes: number
  segmentMaxAgeMs: number
}

export interface SegmentWriterPorts {
  layout: Layout
  disk: Disk
  writerName: string
  writer: string
}

interface Current {
  name: string
  time: number
  file: DiskFile
  /** Null after it could not be written: readers scan the segment instead. */
  index: DiskFile | null
  size: number
  indexed: number
  begunAt: number
}

export class SegmentWriter {
  readonly #ports: SegmentWriterPorts
  readonly #limits: SegmentLimits
  #current: Current | undefined
  readonly #inTurn = atMost(1)
  #number = 0
  #flush = 0

  constructor(ports: SegmentWriterPorts, limits: SegmentLimits) {
    this.#ports = ports
    this.#limits = limits
  }

  /** Durable when it resolves; when it throws, none of the group is kept. */
  append(group: readonly Appending[]): Promise<void> {
    return this.#inTurn(() => this.#append(group))
  }

  /** Ends a segment that is old, so that its space can be given back. */
  endIfOld(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#current && this.#isOld(this.#current)) await this.#end()
    })
  }

  end(): Promise<void> {
    return this.#inTurn(() => this.#end())
  }

  async #append(group: readonly Appending[]): Promise<void> {
    const current = await this.#segmentFor(group)
    const flush = this.#flush++ & 0xffff
    const entries: IndexEntry[] = []
    let offset = current.size
    for (const { queueId, length } of group) {
      entries.push({ queueId, offset, length })
      offset += length
    }
    try {
      await writeFully(
        current.file,
        group.flatMap((item) => item.encode(flush)),
        current.size,
      )
      await current.file.datasync()
    } catch (cause) {
      await this.#giveUp(current)
      throw asSpoolFull(cause)
    }
    current.size = offset
    await this.#writeIndex(current, encodeEntries(entries))
  }

  async #end(): Promise<void> {
    const current = this.#current
    this.#current = undefined
    if (current) await this.#finish(current)
  }

  async #segmentFor(group: readonly Appending[]): Promise<Current> {
    const current = this.#current
    const fits = current && group.every(({ queueId }) => belongs(current.time, queueId))
    if (current && fits && current.size < this.#limits.segmentMaxBytes && !this.#isOld(current)) return current
    await this.#end()
    // After its youngest id, so that a clock which was set back meanwhile does not matter.
    const time = Math.max(...group.map(({ queueId }) => timeOf(queueId)))
    if (!group.every(({ queueId }) => belongs(time, queueId))) throw new Error('the clock was set while these waited')
    return (this.#current = await this.#begin(time))
  }

  async #begin(time: number): Promise<Current> {
    const { layout, disk, writerName, writer } = this.#ports
    const name = segmentName(time, writerName, writer, this.#number++)
    const file = await disk.create(segmentPath(layout, name)).catch((cause: unknown) => {
      throw asSpoolFull(cause)
    })
    try {
      // Before its first record is promised its name must be durable.
      await disk.syncDirectory(layout.segments)
    } catch (cause) {
      await file.close()
      throw asSpoolFull(cause)
    }
    const index = await disk.create(indexPath(layout, name)).catch(() => null)
    return { name, time, file, index, size: 0, indexed: 0, begunAt: performance.now() }
  }

  /** Not synced, and no reason to fail a put: the record is durable, and found by scanning if this is lost. */
  async #writeIndex(current: Current, bytes: Buffer): Promise<void> {
    if (current.index === null) return
    try {
      await writeFully(current.index, [bytes], current.indexed)
      current.indexed += bytes.length
    } catch {
      await current.index.close().catch(() => {})
      current.index = null
    }
  }

  /** Nothing of the failed group may look like a record: its senders were told that it was not taken. */
  async #giveUp(current: Current): Promise<void> {
    this.#current = undefined
    await current.file.truncate(current.size).catch(() => {})
    await this.#finish(current)
  }

  async #finish(current: Current): Promise<void> {
    await this.#writeIndex(current, encodeEnd(current.size))
    await current.index?.close().catch(() => {})
    await current.file.close().catch(() => {})
  }

  #isOld({ begunAt }: Current): boolean {
    return performance.now() - begunAt >= this.#limits.segmentMaxAgeMs
  }
}
