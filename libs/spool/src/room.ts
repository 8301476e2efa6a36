/**
 * Whether there is room for another message. Asked for every message, so the answer is the last measurement's; a stale one starts
 * the next in the background.
 */
import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { failedWith } from '@postbus/blobs/files'

import type { Disk } from './disk.ts'
import { fileShards, type Layout } from './layout.ts'

/** Free space is asked for at most this often. */
const FREE_EVERY_MS = 1000
/** Counting what the spool holds means looking at every file: at most this often, and never for more than a fiftieth of the time. */
const COUNT_EVERY_MS = 10_000
const COUNT_SHARE = 50
/** How long a disk that said it is full is believed, whatever the measurement says (a quota, blocks kept for root). */
const FULL_FOR_MS = 5000
/** File names that must be left. */
const MIN_FREE_NAMES = 1000

export interface RoomLimits {
  /** What the spool may hold in all, of all writers. */
  maxBytes: number
  /** What must be left on the disk for everybody else. */
  minFreeBytes: number
}

export class Room {
  readonly #layout: Layout
  readonly #disk: Disk
  readonly #limits: RoomLimits
  #free = { bytes: Infinity, names: Infinity }
  #freeAt = -Infinity
  #used = 0
  #countAgainAt = -Infinity
  #fullUntil = -Infinity
  #measuring: Promise<void> | undefined

  constructor(layout: Layout, disk: Disk, limits: RoomLimits) {
    this.#layout = layout
    this.#disk = disk
    this.#limits = limits
  }

  has(): boolean {
    const now = performance.now()
    if (now - this.#freeAt >= FREE_EVERY_MS) void this.measure()
    const { maxBytes, minFreeBytes } = this.#limits
    return (
      now >= this.#fullUntil &&
      this.#free.bytes > minFreeBytes &&
      this.#free.names > MIN_FREE_NAMES &&
      this.#used < maxBytes
    )
  }

  /** Counted at once; what other writers write is known at the next count. */
  wrote(bytes: number): void {
    this.#used += bytes
    this.#free.bytes -= bytes
  }

  /** The disk refused a write for lack of space. */
  wasFull(): void {
    this.#fullUntil = performance.now() + FULL_FOR_MS
  }

  /** A measurement that fails leaves the last one standing: the write itself will say what is wrong. */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure()
      .catch(() => {})
      .finally(() => {
        this.#measuring = undefined
      })
    return this.#measuring
  }

  async #measure(): Promise<void> {
    this.#freeAt = performance.now()
    this.#free = await this.#disk.free(this.#layout.root)
    if (this.#limits.maxBytes === Infinity || this.#freeAt < this.#countAgainAt) return
    const begun = performance.now()
    let used = 0
    for (const directory of [this.#layout.segments, ...fileShards(this.#layout)]) used += await bytesIn(directory)
    this.#used = used
    const ended = performance.now()
    this.#countAgainAt = ended + Math.max(COUNT_EVERY_MS, (ended - begun) * COUNT_SHARE)
  }
}

async function bytesIn(directory: string): Promise<number> {
  let bytes = 0
  for await (const { name } of await opendir(directory)) {
    bytes += await stat(join(directory, name)).then(
      ({ size }) => size,
      (cause: unknown) => {
        if (failedWith(cause, 'ENOENT')) return 0
        throw cause
      },
    )
  }
  return bytes
}
