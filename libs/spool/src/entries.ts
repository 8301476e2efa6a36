/**
 * Index entries in memory, as the octets they are: a third of what a map of them takes, and filled without looking at each id
 * for longer than it takes to hash it.
 */
import { QueueId } from '@postbus/contracts'

import { ENTRY_BYTES, ID_BYTES, type IndexEntry, type Place, placeAt } from './index-entry.ts'

/** Of a queue id: ULIDs differ in these. */
const TIME_BYTES = 10

export class Entries {
  #buffer = Buffer.alloc(0)
  #length = 0
  /** Open addressing: number of an entry plus one, at the hash of its id or behind it. At least half is empty. */
  #slots = new Uint32Array(64)

  get count(): number {
    return this.#length / ENTRY_BYTES
  }

  add(entries: Buffer): void {
    const begin = this.#length
    if (begin + entries.length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(2 * this.#buffer.length, begin + entries.length))
      this.#buffer.copy(larger, 0, 0, begin)
      this.#buffer = larger
    }
    this.#buffer.set(entries, begin)
    this.#length += entries.length
    if (2 * this.count > this.#slots.length) this.#hashAll()
    else for (let at = begin; at < this.#length; at += ENTRY_BYTES) this.#hash(at)
  }

  /** Forgets records that begin there or later. */
  dropFrom(offset: number): void {
    const before = this.#length
    while (this.#length > 0 && placeAt(this.#buffer, this.#length - ENTRY_BYTES).offset >= offset) {
      this.#length -= ENTRY_BYTES
    }
    if (this.#length < before) this.#hashAll()
  }

  find(queueId: QueueId): Place | undefined {
    const id = Buffer.from(queueId, 'latin1')
    for (let slot = hashOf(id, 0); ; slot++) {
      const number = this.#slots[slot & (this.#slots.length - 1)] ?? 0
      if (number === 0) return undefined
      const at = (number - 1) * ENTRY_BYTES
      if (this.#buffer.compare(id, 0, ID_BYTES, at, at + ID_BYTES) === 0) return placeAt(this.#buffer, at)
    }
  }

  /** In the order they were added. */
  *[Symbol.iterator](): Generator<IndexEntry> {
    for (let at = 0; at < this.#length; at += ENTRY_BYTES) {
      const queueId = QueueId.parse(this.#buffer.toString('latin1', at, at + ID_BYTES))
      yield { queueId, ...placeAt(this.#buffer, at) }
    }
  }

  /** The first ten characters of ids, which are their time: the smallest and the greatest. */
  times(): { earliest: string; latest: string } {
    let earliest = '~'
    let latest = ''
    for (let at = 0; at < this.#length; at += ENTRY_BYTES) {
      const time = this.#buffer.toString('latin1', at, at + TIME_BYTES)
      if (time < earliest) earliest = time
      if (time > latest) latest = time
    }
    return { earliest, latest }
  }

  #hashAll(): void {
    let size = 64
    while (size < 4 * this.count) size *= 2
    this.#slots = new Uint32Array(size)
    for (let at = 0; at < this.#length; at += ENTRY_BYTES) this.#hash(at)
  }

  #hash(at: number): void {
    const mask = this.#slots.length - 1
    let slot = hashOf(this.#buffer, at) & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = at / ENTRY_BYTES + 1
  }
}

/** Of the last eight characters, which are chance. */
function hashOf(buffer: Buffer, at: number): number {
  const mixed =
    Math.imul(buffer.readUInt32LE(at + 18), 0x9e37_79b1) ^ Math.imul(buffer.readUInt32LE(at + 22), 0x85eb_ca6b)
  return (mixed ^ (mixed >>> 15)) >>> 0
}
