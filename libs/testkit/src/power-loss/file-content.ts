/**
 * The bytes of one file: what is durable, what was changed since, and what a machine could show of that after it lost power.
 *
 * The model, sector by sector:
 * - a sector shows its content at one moment between the last fsync and now; each sector has a moment of its own. A write is
 *   torn at sectors, may be there while an earlier one is not, and never undoes an older write to the same sector: the page
 *   cache holds one version of it.
 * - the size shows one moment too, independent of the data: a file may be shorter than what was written into it, or longer,
 *   with zeros where nothing had reached the disk (XFS shows that; ext4 with data=ordered shows less).
 * - truncation is a change of metadata: after one that is not there, nothing later is.
 * - after a write with O_SYNC or O_DSYNC its sectors show at least that moment, and so does the size.
 */
import { between, type Draw } from '../seeded.ts'

/** What a disk writes whole: old ones 512 octets, newer ones 4,096. */
export type SectorBytes = 512 | 4096

type Change =
  | { kind: 'write'; offset: number; data: Uint8Array; synchronous: boolean }
  | { kind: 'size'; size: number; shrinks: boolean }

/** What a file shows after the loss: all of it, nothing that was not flushed, or moments drawn. */
export type Fate = 'all' | 'none' | 'prefix' | 'sectors'

export class FileContent {
  #durable = new Bytes()
  #size = 0
  #changes: Change[] = []

  write(offset: number, data: Uint8Array, synchronous = false): void {
    this.#changes.push({ kind: 'write', offset, data, synchronous })
    this.#size = Math.max(this.#size, offset + data.length)
  }

  truncate(size: number): void {
    this.#changes.push({ kind: 'size', size, shrinks: size < this.#size })
    this.#size = size
  }

  /** As posix_fallocate(3): never shrinks. */
  allocate(size: number): void {
    if (size > this.#size) this.truncate(size)
  }

  sync(): void {
    for (const change of this.#changes) this.#durable.apply(change)
    this.#changes = []
  }

  get pending(): number {
    return this.#changes.length
  }

  /** One of the contents a machine could show if it lost power now. */
  afterLoss(fate: Fate, sectorBytes: SectorBytes, draw: Draw): Uint8Array {
    const shown = this.#durable.copy()
    const least = this.#changes.findLastIndex((change) => change.kind === 'write' && change.synchronous) + 1
    const all = this.#changes.length
    if (fate === 'all' || all === 0) {
      for (const change of this.#changes) shown.apply(change)
      return shown.content()
    }
    // The lowest of every draw is the least that must be there.
    if (fate === 'none') this.#applySectors(shown, least, sectorBytes, () => 0)
    else if (fate === 'prefix') this.#applyPrefix(shown, between(draw, least, all), sectorBytes, draw)
    else this.#applySectors(shown, least, sectorBytes, draw)
    return shown.content()
  }

  /** The first changes whole, the next one torn. */
  #applyPrefix(shown: Bytes, count: number, sectorBytes: SectorBytes, draw: Draw): void {
    for (const change of this.#changes.slice(0, count)) shown.apply(change)
    const next = this.#changes[count]
    if (next?.kind !== 'write') return
    for (const part of inSectors(next, sectorBytes)) if (draw() < 0.5) shown.apply(part)
  }

  #applySectors(shown: Bytes, least: number, sectorBytes: SectorBytes, draw: Draw): void {
    // Where nothing later is shown: at a truncation that did not happen.
    const truncations = this.#changes.flatMap((change, at) => (change.kind === 'size' && change.shrinks ? [at] : []))
    const optional = truncations.filter((at) => at >= least)
    const end = [...optional, this.#changes.length][between(draw, 0, optional.length)] ?? this.#changes.length
    const changes = this.#changes.slice(0, end)
    const happened = truncations.filter((at) => at < end)
    const sizeAt = between(draw, Math.max(least, (happened.at(-1) ?? -1) + 1), end)

    const synced = new Map<number, number>()
    for (const [at, change] of changes.entries()) {
      if (change.kind !== 'write' || !change.synchronous) continue
      for (const { offset } of inSectors(change, sectorBytes)) synced.set(Math.floor(offset / sectorBytes), at + 1)
    }
    const moments = new Map<number, number>()
    const momentOf = (sector: number): number => {
      const known = moments.get(sector)
      if (known !== undefined) return known
      const floor = synced.get(sector) ?? 0
      const kind = draw()
      const moment = kind < 0.3 ? floor : kind < 0.6 ? end : between(draw, floor, end)
      moments.set(sector, moment)
      return moment
    }

    let size = shown.size
    let shownSize = size
    for (const [at, change] of changes.entries()) {
      if (at === sizeAt) shownSize = size
      if (change.kind === 'size') {
        if (change.shrinks) shown.apply(change)
        size = change.size
        continue
      }
      size = Math.max(size, change.offset + change.data.length)
      for (const part of inSectors(change, sectorBytes)) {
        if (at < momentOf(Math.floor(part.offset / sectorBytes))) shown.apply(part)
      }
    }
    if (sizeAt === end) shownSize = size
    shown.resize(shownSize)
  }
}

/** A write in parts that each lie in one sector. */
function* inSectors(
  { offset, data }: { offset: number; data: Uint8Array },
  sectorBytes: SectorBytes,
): Generator<{ kind: 'write'; offset: number; data: Uint8Array }> {
  for (let at = 0; at < data.length;) {
    const length = Math.min(data.length - at, sectorBytes - ((offset + at) % sectorBytes))
    yield { kind: 'write', offset: offset + at, data: data.subarray(at, at + length) }
    at += length
  }
}

/** Octets that grow; zeros where nobody wrote. */
class Bytes {
  #buffer: Uint8Array
  #size: number

  constructor(buffer: Uint8Array = new Uint8Array(0)) {
    this.#buffer = buffer
    this.#size = buffer.length
  }

  get size(): number {
    return this.#size
  }

  apply(change: { kind: 'write'; offset: number; data: Uint8Array } | { kind: 'size'; size: number }): void {
    if (change.kind === 'size') return this.resize(change.size)
    const end = change.offset + change.data.length
    if (end > this.#size) this.resize(end)
    this.#buffer.set(change.data, change.offset)
  }

  resize(size: number): void {
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#buffer.length))
      larger.set(this.content())
      this.#buffer = larger
    } else if (size < this.#size) {
      this.#buffer.fill(0, size, this.#size)
    }
    this.#size = size
  }

  copy(): Bytes {
    return new Bytes(this.content().slice())
  }

  content(): Uint8Array {
    return this.#buffer.subarray(0, this.#size)
  }
}
