/**
 * Sets of message numbers (UIDs or sequence numbers) as ranges: `1:100000` costs eight bytes, not 100,000 elements.
 * `NumberSet` is a value that never changes; `SequenceSet` is what a client wrote, with `*` and `$` still in it.
 *
 * STANDARDS  RFC 9051 §9 (sequence-set, uid-set), §2.3.1
 */

/** nz-number is an unsigned 32-bit integer — RFC 9051 §9. */
export const MAX_NUMBER = 0xffff_ffff

/** Not a set of numbers, or one that is out of range. */
export class BadSequenceSet extends Error {
  override readonly name = 'BadSequenceSet'
}

/** Bounds low, high, low, high …: ascending, not overlapping, not touching. */
type Bounds = readonly number[] | Uint32Array

export class NumberSet implements Iterable<number> {
  static readonly empty = new NumberSet([])

  readonly #bounds: Uint32Array
  /** Members up to and including each range; made when a position is first asked for. */
  #ranks: Uint32Array | undefined

  private constructor(bounds: Bounds) {
    this.#bounds = bounds instanceof Uint32Array ? bounds : Uint32Array.from(bounds)
  }

  /** Both ends belong to the set. Empty when `high` is below `low`. */
  static range(low: number, high: number): NumberSet {
    if (high < low) return NumberSet.empty
    return new NumberSet([checked(low), checked(high)])
  }

  /** Numbers in any order, repeats allowed; ascending ones cost no more than their ranges. */
  static from(numbers: Iterable<number>): NumberSet {
    const pairs: number[] = []
    for (const number of numbers) {
      const high = pairs.length - 1
      if (high > 0 && pairs[high] === number - 1) pairs[high] = checked(number)
      else if (high < 0 || pairs[high] !== number) pairs.push(checked(number), number)
    }
    return new NumberSet(normalised(pairs))
  }

  static fromRanges(ranges: Iterable<readonly [low: number, high: number]>): NumberSet {
    const pairs: number[] = []
    for (const [low, high] of ranges) if (low <= high) pairs.push(checked(low), checked(high))
    return new NumberSet(normalised(pairs))
  }

  /**
   * Numbers and ranges without `*`; '' is the empty set. Any order: a client may write `9,2:4` — RFC 9051 §9.
   * @throws BadSequenceSet
   */
  static parse(text: string): NumberSet {
    if (text === '') return NumberSet.empty
    const pairs: number[] = []
    for (const [low, high] of rangesIn(text)) {
      if (low === '*' || high === '*') throw new BadSequenceSet('"*" has no meaning here')
      pairs.push(Math.min(low, high), Math.max(low, high))
    }
    return new NumberSet(normalised(pairs))
  }

  get size(): number {
    return this.#ranked().at(-1) ?? 0
  }

  get isEmpty(): boolean {
    return this.#bounds.length === 0
  }

  get rangeCount(): number {
    return this.#bounds.length / 2
  }

  /** The lowest member; undefined when empty. */
  get first(): number | undefined {
    return this.#bounds[0]
  }

  /** The highest member; undefined when empty. */
  get last(): number | undefined {
    return this.#bounds.at(-1)
  }

  has(number: number): boolean {
    return this.#low(this.#rangeAt(number)) <= number
  }

  /** How many members are not above `number`. For a member: its sequence number. */
  rank(number: number): number {
    const index = this.#rangeAt(number)
    if (index === this.rangeCount) return this.size
    const before = index === 0 ? 0 : (this.#ranked()[index - 1] ?? 0)
    return before + Math.max(0, number - this.#low(index) + 1)
  }

  /** The rank of a member; undefined for any other number. */
  rankOf(number: number): number | undefined {
    const index = this.#rangeAt(number)
    const low = this.#low(index)
    if (low > number) return undefined
    const before = index === 0 ? 0 : (this.#ranked()[index - 1] ?? 0)
    return before + number - low + 1
  }

  /** The member of this rank, counted from 1; undefined beyond the end. */
  at(rank: number): number | undefined {
    if (rank < 1 || rank > this.size) return undefined
    const ranks = this.#ranked()
    const index = lowest(ranks.length, (at) => (ranks[at] ?? 0) >= rank)
    const before = index === 0 ? 0 : (ranks[index - 1] ?? 0)
    return this.#low(index) + (rank - before - 1)
  }

  *ranges(): Generator<readonly [low: number, high: number]> {
    for (let at = 0; at < this.#bounds.length; at += 2) yield [this.#bounds[at] ?? 0, this.#bounds[at + 1] ?? 0]
  }

  *[Symbol.iterator](): Generator<number> {
    for (const [low, high] of this.ranges()) for (let number = low; number <= high; number++) yield number
  }

  /** Highest first: the order in which EXPUNGE responses need no correction of each other — RFC 9051 §7.5.1. */
  *descending(): Generator<number> {
    for (let at = this.#bounds.length - 2; at >= 0; at -= 2) {
      const low = this.#bounds[at] ?? 0
      for (let number = this.#bounds[at + 1] ?? 0; number >= low; number--) yield number
    }
  }

  union(other: NumberSet): NumberSet {
    if (other.isEmpty) return this
    if (this.isEmpty) return other
    const pairs: number[] = []
    const [mine, theirs] = [this.#bounds, other.#bounds]
    for (let a = 0, b = 0; a < mine.length || b < theirs.length;) {
      const fromMine = b >= theirs.length || (mine[a] ?? Infinity) <= (theirs[b] ?? Infinity)
      const low = (fromMine ? mine[a] : theirs[b]) ?? 0
      const high = (fromMine ? mine[a + 1] : theirs[b + 1]) ?? 0
      if (fromMine) a += 2
      else b += 2
      append(pairs, low, high)
    }
    return new NumberSet(pairs)
  }

  intersect(other: NumberSet): NumberSet {
    const pairs: number[] = []
    const [mine, theirs] = [this.#bounds, other.#bounds]
    for (let a = 0, b = 0; a < mine.length && b < theirs.length;) {
      const low = Math.max(mine[a] ?? 0, theirs[b] ?? 0)
      const [myHigh, theirHigh] = [mine[a + 1] ?? 0, theirs[b + 1] ?? 0]
      if (low <= Math.min(myHigh, theirHigh)) pairs.push(low, Math.min(myHigh, theirHigh))
      if (myHigh <= theirHigh) a += 2
      else b += 2
    }
    return new NumberSet(pairs)
  }

  /** The members that are not in `other`. */
  subtract(other: NumberSet): NumberSet {
    if (other.isEmpty || this.isEmpty) return this
    const pairs: number[] = []
    const theirs = other.#bounds
    let b = 0
    for (const [low, high] of this.ranges()) {
      let from = low
      while (b < theirs.length && (theirs[b + 1] ?? 0) < from) b += 2
      for (let at = b; at < theirs.length && (theirs[at] ?? 0) <= high && from <= high; at += 2) {
        if ((theirs[at] ?? 0) > from) pairs.push(from, (theirs[at] ?? 0) - 1)
        from = (theirs[at + 1] ?? 0) + 1
      }
      if (from <= high) pairs.push(from, high)
    }
    return new NumberSet(pairs)
  }

  /** The members from `low` to `high`, both included. */
  within(low: number, high: number): NumberSet {
    if ((this.first ?? 0) >= low && (this.last ?? 0) <= high) return this
    return high < low ? NumberSet.empty : this.intersect(NumberSet.range(Math.max(low, 1), Math.min(high, MAX_NUMBER)))
  }

  equals(other: NumberSet): boolean {
    const [mine, theirs] = [this.#bounds, other.#bounds]
    return mine.length === theirs.length && mine.every((bound, at) => bound === theirs[at])
  }

  /** IMAP's shortest form: `1:5,9`; '' when empty. */
  toString(): string {
    return [...this.pieces(Infinity)].join(',')
  }

  /** The same in strings no longer than `maxLength` (at least one range each): for rows, and lines of bounded length. */
  *pieces(maxLength: number): Generator<string> {
    let piece = ''
    for (const [low, high] of this.ranges()) {
      const range = low === high ? String(low) : `${low}:${high}`
      if (piece !== '' && piece.length + 1 + range.length > maxLength) {
        yield piece
        piece = ''
      }
      piece += piece === '' ? range : `,${range}`
    }
    if (piece !== '') yield piece
  }

  /** The first range whose high end is not below `number`; rangeCount when there is none. */
  #rangeAt(number: number): number {
    return lowest(this.rangeCount, (at) => (this.#bounds[2 * at + 1] ?? 0) >= number)
  }

  /** Infinity beyond the end, so that nothing there is a member. */
  #low(index: number): number {
    return this.#bounds[2 * index] ?? Infinity
  }

  #ranked(): Uint32Array {
    if (this.#ranks) return this.#ranks
    const ranks = new Uint32Array(this.rangeCount)
    let total = 0
    for (const [index] of ranks.entries()) {
      total += (this.#bounds[2 * index + 1] ?? 0) - (this.#bounds[2 * index] ?? 0) + 1
      ranks[index] = total
    }
    this.#ranks = ranks
    return ranks
  }
}

/** One end of a range as a client writes it. */
export type Bound = number | '*'

/** What a client wrote: ranges in its order, or `$`, the saved search result — RFC 9051 §6.4.4.1. */
export type SequenceSet =
  | { kind: 'ranges'; ranges: readonly (readonly [Bound, Bound])[] }
  /** Parsed always; whether it means anything is the session's business. */
  | { kind: 'saved' }

/** @throws BadSequenceSet */
export function parseSequenceSet(text: string): SequenceSet {
  return text === '$' ? { kind: 'saved' } : { kind: 'ranges', ranges: [...rangesIn(text)] }
}

/**
 * The numbers meant when `highest` is the largest in use (0: none). A range is the same both ways round, and `7:*` in a
 * mailbox of three is `3:7` — RFC 9051 §9.
 */
export function resolveSequenceSet({ ranges }: Extract<SequenceSet, { kind: 'ranges' }>, highest: number): NumberSet {
  const value = (bound: Bound): number => (bound === '*' ? highest : bound)
  const pairs: [number, number][] = []
  for (const [from, to] of ranges) {
    const [low, high] = [Math.min(value(from), value(to)), Math.max(value(from), value(to))]
    if (high > 0) pairs.push([Math.max(low, 1), high])
  }
  return NumberSet.fromRanges(pairs)
}

function* rangesIn(text: string): Generator<readonly [Bound, Bound]> {
  for (const part of text.split(',')) {
    const colon = part.indexOf(':')
    const from = bound(colon < 0 ? part : part.slice(0, colon))
    yield [from, colon < 0 ? from : bound(part.slice(colon + 1))]
  }
}

function bound(text: string): Bound {
  if (text === '*') return '*'
  if (!/^[1-9][0-9]{0,9}$/.test(text)) throw new BadSequenceSet('Not a message number')
  return checked(Number(text))
}

function checked(number: number): number {
  if (Number.isInteger(number) && number >= 1 && number <= MAX_NUMBER) return number
  throw new BadSequenceSet('A message number is between 1 and 4294967295')
}

/** Adds a range that begins no earlier than the last one, merging what overlaps or touches. */
function append(pairs: number[], low: number, high: number): void {
  const last = pairs.length - 1
  const lastHigh = pairs[last]
  if (lastHigh !== undefined && low <= lastHigh + 1) pairs[last] = Math.max(lastHigh, high)
  else pairs.push(low, high)
}

function normalised(pairs: number[]): number[] {
  if (pairs.every((bound, at) => at === 0 || at % 2 === 1 || bound > (pairs[at - 1] ?? 0) + 1)) return pairs
  const order = Array.from({ length: pairs.length / 2 }, (_, at) => 2 * at)
  order.sort((a, b) => (pairs[a] ?? 0) - (pairs[b] ?? 0))
  const merged: number[] = []
  for (const at of order) append(merged, pairs[at] ?? 0, pairs[at + 1] ?? 0)
  return merged
}

/** The first index for which the test holds, when it holds for all after it; `count` when for none. */
function lowest(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
