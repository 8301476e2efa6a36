/**
 * Which segments there are, and what is known of each. Looks at the directory only when a queue id was found nowhere else, and
 * keeps at most so many places in memory: the segments used last, with their files open while they are in use.
 */
import { readdir } from 'node:fs/promises'

import type { QueueId } from '@postbus/contracts'
import { failedWith } from '@postbus/blobs/files'

import { AFTER_MS, BEFORE_MS, type Layout, parseSegmentName, type SegmentName, timeOf } from './layout.ts'
import { Segment, type TimeRange } from './segment.ts'
import { shared } from './shared.ts'

/** Each may have two files open. */
const MAX_SEGMENTS = 128
/** Files of segments nobody reads any more are closed after one to two of these. */
const REST_EVERY_MS = 5000

export interface CatalogOptions {
  /** Places of records kept in memory, about 60 octets each. */
  maxPlaces: number
}

export class Catalog {
  readonly #layout: Layout
  readonly #maxPlaces: number
  /** Oldest first. */
  #names: SegmentName[] = []
  /** Least recently used first. */
  readonly #segments = new Map<string, Segment>()
  /** Of segments that will not grow, also when their places are forgotten: most ids are told from most segments by this. */
  readonly #ranges = new Map<string, TimeRange>()
  readonly #resting: NodeJS.Timeout

  constructor(layout: Layout, { maxPlaces }: CatalogOptions) {
    this.#layout = layout
    this.#maxPlaces = maxPlaces
    this.#resting = setInterval(() => void this.#rest(), REST_EVERY_MS).unref()
  }

  /** Looks at the directory. */
  readonly refresh: () => Promise<void> = shared(async () => {
    this.#names = await listSegments(this.#layout)
    const names = new Set(this.#names.map(({ name }) => name))
    for (const [name, segment] of this.#segments) if (!names.has(name)) await this.#drop(name, segment)
    for (const name of this.#ranges.keys()) if (!names.has(name)) this.#ranges.delete(name)
  })

  /** Oldest first. */
  get names(): readonly SegmentName[] {
    return this.#names
  }

  /** The segments an id can be in, the likeliest first: the one begun last before the id was made, then those around it. */
  *candidates(queueId: QueueId): Generator<SegmentName> {
    const time = timeOf(queueId)
    const names = this.#names
    const next = firstAfter(names, time)
    for (let at = next - 1; at >= 0; at--) {
      const candidate = names[at]
      if (!candidate || candidate.time < time - AFTER_MS) break
      if (this.#mayHold(candidate, queueId)) yield candidate
    }
    for (let at = next; at < names.length; at++) {
      const candidate = names[at]
      if (!candidate || candidate.time > time + BEFORE_MS) break
      if (this.#mayHold(candidate, queueId)) yield candidate
    }
  }

  segment(name: SegmentName): Segment {
    const segment = this.#segments.get(name.name) ?? new Segment(this.#layout, name)
    this.#segments.delete(name.name)
    this.#segments.set(name.name, segment)
    return segment
  }

  /** To be called when a segment has learnt places. */
  async learnt({ name }: SegmentName, { range }: Segment): Promise<void> {
    if (range) this.#ranges.set(name, range)
    let places = 0
    for (const { records } of this.#segments.values()) places += records
    for (const [name, segment] of this.#segments) {
      // The one used last stays, however large.
      if (this.#segments.size === 1 || (places <= this.#maxPlaces && this.#segments.size <= MAX_SEGMENTS)) return
      places -= segment.records
      await this.#drop(name, segment)
    }
  }

  async forget({ name }: SegmentName): Promise<void> {
    this.#names = this.#names.filter((other) => other.name !== name)
    this.#ranges.delete(name)
    const segment = this.#segments.get(name)
    if (segment) await this.#drop(name, segment)
  }

  async close(): Promise<void> {
    clearInterval(this.#resting)
    for (const [name, segment] of this.#segments) await this.#drop(name, segment)
  }

  #mayHold({ name }: SegmentName, queueId: QueueId): boolean {
    const range = this.#ranges.get(name)
    const time = queueId.slice(0, 10)
    return !range || (time >= range.earliest && time <= range.latest)
  }

  async #drop(name: string, segment: Segment): Promise<void> {
    this.#segments.delete(name)
    await segment.close()
  }

  async #rest(): Promise<void> {
    for (const segment of this.#segments.values()) await segment.rest()
  }
}

/** Oldest first. A directory that is not there yet has none. */
export async function listSegments(layout: Layout): Promise<SegmentName[]> {
  const files = await readdir(layout.segments).catch((cause: unknown) => {
    if (failedWith(cause, 'ENOENT')) return []
    throw cause
  })
  return files
    .sort()
    .map(parseSegmentName)
    .filter((name) => name !== null)
}

function firstAfter(names: readonly SegmentName[], time: number): number {
  let low = 0
  let high = names.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((names[middle]?.time ?? Infinity) <= time) low = middle + 1
    else high = middle
  }
  return low
}
