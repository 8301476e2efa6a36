/** Tombstones of the segments used last, in bounded memory. */
import type { Disk } from './disk.ts'
import { FreedRecords } from './freed.ts'
import type { Layout } from './layout.ts'

/** About 150 octets each. */
const MAX_IDS = 200_000
/** Each has a file open. */
const MAX_SEGMENTS = 64

export class FreedCache {
  readonly #layout: Layout
  readonly #disk: Disk
  /** Least recently used first. */
  readonly #freed = new Map<string, FreedRecords>()

  constructor(layout: Layout, disk: Disk) {
    this.#layout = layout
    this.#disk = disk
  }

  async of(segment: string): Promise<FreedRecords> {
    const freed = this.#freed.get(segment) ?? (await FreedRecords.load(this.#layout, this.#disk, segment))
    this.#freed.delete(segment)
    this.#freed.set(segment, freed)
    return freed
  }

  /** To be called between two works, never during one: it closes files. */
  async trim(): Promise<void> {
    let ids = 0
    for (const freed of this.#freed.values()) ids += freed.ids.size
    for (const [segment, freed] of this.#freed) {
      if (ids <= MAX_IDS && this.#freed.size <= MAX_SEGMENTS) return
      ids -= freed.ids.size
      await this.drop(segment)
    }
  }

  async drop(segment: string): Promise<void> {
    const freed = this.#freed.get(segment)
    this.#freed.delete(segment)
    await freed?.close()
  }

  async clear(): Promise<void> {
    for (const segment of [...this.#freed.keys()]) await this.drop(segment)
  }
}
