/**
 * Custody's side of the spool: what is there, and what may go.
 *
 * A crash at any moment never brings a freed record back: its tombstone, or the absence of its file, is durable before
 * anybody is told, and tombstones outlive their segment.
 */
import { randomBytes } from 'node:crypto'

import type { QueueId } from '@postbus/contracts'

import { Catalog } from './catalog.ts'
import { copyOut } from './compact.ts'
import { type Disk, localDisk } from './disk.ts'
import { FreedCache } from './freed-cache.ts'
import { createLayout, type Layout, layoutOf, lockPath, type SegmentName } from './layout.ts'
import { listRecords, type OnDamage } from './list-records.ts'
import { type Found, locate, locateScanning } from './locate.ts'
import { isHeld } from './lock.ts'
import { removeRecordFiles, removeSegment } from './remove.ts'
import { type Segment, SegmentGone } from './segment.ts'
import { CorruptRecord, type SpoolKeeper } from './spool.ts'
import { sweepSpool } from './sweep.ts'
import { Turns } from './turns.ts'

export interface LocalKeeperOptions {
  /** Places of records kept in memory, about 60 octets each; others are read again from the index. Default 500,000. */
  maxPlaces?: number
  /** A segment is compacted when at most this share of its octets is still needed. Default 0.5: copying more costs more than it gives back. */
  compactBelow?: number
  /** Told of damaged records, which can be neither listed nor moved; they stay where they are. */
  onDamage?: OnDamage
  disk?: Disk
}

/** Makes the directory where it is missing. */
export async function openLocalKeeper(dir: string, options: LocalKeeperOptions = {}): Promise<SpoolKeeper> {
  const layout = layoutOf(dir)
  await createLayout(layout)
  return new LocalSpoolKeeper(layout, options)
}

interface Group {
  name: SegmentName
  segment: Segment
  queueIds: QueueId[]
}

class LocalSpoolKeeper implements SpoolKeeper {
  readonly #layout: Layout
  readonly #disk: Disk
  readonly #catalog: Catalog
  readonly #freed: FreedCache
  readonly #compactBelow: number
  readonly #onDamage: OnDamage
  readonly #turns: Turns
  /** Part of the names of our tombstone files. */
  readonly #keeper = randomBytes(8).toString('hex')

  constructor(layout: Layout, options: LocalKeeperOptions) {
    const { disk = localDisk, maxPlaces = 500_000, compactBelow = 0.5, onDamage = () => {} } = options
    this.#layout = layout
    this.#disk = disk
    this.#compactBelow = compactBelow
    this.#onDamage = onDamage
    this.#catalog = new Catalog(layout, { maxPlaces })
    this.#freed = new FreedCache(layout, disk)
    this.#turns = new Turns(layout, this.#keeper)
  }

  list(): ReturnType<SpoolKeeper['list']> {
    return listRecords(this.#layout, (name) => this.#isAlive(name), this.#onDamage)
  }

  free(queueIds: readonly QueueId[]): Promise<void> {
    return this.#inTurn(() => this.#free(queueIds))
  }

  async compact(olderThan: Date): Promise<{ copied: number; segmentsRemoved: number }> {
    await this.#catalog.refresh()
    const old = this.#catalog.names.filter(({ time }) => time < olderThan.getTime())
    const total = { copied: 0, segmentsRemoved: 0 }
    for (const name of old) {
      // One turn each, so that freeing never waits for long.
      const copied = await this.#inTurn(() => this.#compact(name))
      if (copied === null) continue
      total.copied += copied
      total.segmentsRemoved++
    }
    return total
  }

  sweep(olderThan: Date): Promise<number> {
    return this.#inTurn(() => sweepSpool(this.#layout, olderThan))
  }

  async close(): Promise<void> {
    await this.#turns.close()
    await this.#freed.clear()
    await this.#catalog.close()
  }

  /** Another keeper's tombstones are not in our memory. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return await this.#turns.take(
      async () => {
        try {
          return await work()
        } finally {
          await this.#freed.trim()
        }
      },
      () => this.#freed.clear(),
    )
  }

  async #free(queueIds: readonly QueueId[]): Promise<void> {
    const { groups, others } = await this.#whereabouts(queueIds)
    const files = [...others]
    await Promise.all(
      groups.map(async ({ name, queueIds: inSegment }) => {
        const freed = await this.#freed.of(name.name)
        await freed.add(inSegment, this.#disk, this.#keeper)
        if (freed.copying) files.push(...inSegment)
      }),
    )
    await removeRecordFiles(this.#layout, this.#disk, files)
    for (const { name, segment } of groups) {
      const freed = await this.#freed.of(name.name)
      if (freed.ids.size < segment.records || !(await this.#isSettled(name, segment))) continue
      if (freed.ids.size >= segment.records) await this.#remove(name)
    }
  }

  async #whereabouts(queueIds: readonly QueueId[]): Promise<{ groups: Group[]; others: QueueId[] }> {
    const groups = new Map<string, Group>()
    const missed: QueueId[] = []
    const others: QueueId[] = []
    const note = (queueId: QueueId, found: Found | null, otherwise: QueueId[]): void => {
      if (!found) return void otherwise.push(queueId)
      const { name, segment } = found
      const group = groups.get(name.name) ?? { name, segment, queueIds: [] }
      groups.set(name.name, group)
      group.queueIds.push(queueId)
    }
    for (const queueId of new Set(queueIds)) note(queueId, await locate(this.#catalog, queueId), missed)
    if (missed.length > 0) await this.#catalog.refresh()
    for (const queueId of missed) note(queueId, await locateScanning(this.#catalog, queueId), others)
    return { groups: [...groups.values()], others }
  }

  /** @returns how many records were copied; null where the segment stays */
  async #compact(name: SegmentName): Promise<number | null> {
    const segment = this.#catalog.segment(name)
    try {
      if (!(await this.#isSettled(name, segment))) return null
      const freed = await this.#freed.of(name.name)
      const entries = [...segment.entries()]
      const live = entries.filter(({ queueId }) => !freed.ids.has(queueId))
      if (live.length > 0) {
        if (octets(live) > octets(entries) * this.#compactBelow) return null
        await freed.beginCopying(this.#disk, this.#keeper)
        await copyOut(this.#layout, this.#disk, this.#keeper, segment, live)
      }
      await this.#remove(name)
      return live.length
    } catch (cause) {
      if (cause instanceof SegmentGone) return null
      if (!(cause instanceof CorruptRecord)) throw cause
      this.#onDamage(cause.queueId, cause)
      return null
    } finally {
      await this.#catalog.learnt(name, segment)
    }
  }

  /** Whether nothing more will come, with all that came taken in. */
  async #isSettled(name: SegmentName, segment: Segment): Promise<boolean> {
    await segment.refresh()
    if (!segment.ended && this.#isAlive(name)) return false
    await segment.scan()
    return true
  }

  #isAlive({ writer }: SegmentName): boolean {
    return isHeld(lockPath(this.#layout, writer))
  }

  async #remove(name: SegmentName): Promise<void> {
    await this.#freed.drop(name.name)
    await this.#catalog.forget(name)
    await removeSegment(this.#layout, this.#disk, name.name)
  }
}

function octets(entries: readonly { length: number }[]): number {
  return entries.reduce((sum, { length }) => sum + length, 0)
}
