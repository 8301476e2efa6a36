/**
 * A set of very many keys in eight octets each: 53 bits of a hash, sorted once. Two of a million keys share their bits with a
 * chance of one in ten thousand; whoever asks must bear a wrong "yes".
 */
const FIRST_CAPACITY = 1024

export class KeySet {
  #hashes = new Float64Array(FIRST_CAPACITY)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Only before `freeze`. */
  add(key: string): void {
    if (this.#size === this.#hashes.length) {
      const larger = new Float64Array(2 * this.#size)
      larger.set(this.#hashes)
      this.#hashes = larger
    }
    this.#hashes[this.#size++] = hashOf(key)
  }

  freeze(): void {
    this.#hashes = this.#hashes.slice(0, this.#size).sort()
  }

  /** Only after `freeze`. */
  has(key: string): boolean {
    const wanted = hashOf(key)
    let low = 0
    let high = this.#size
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#hashes[middle] ?? Infinity) < wanted) low = middle + 1
      else high = middle
    }
    return low < this.#size && this.#hashes[low] === wanted
  }
}

/** Two multiplicative hashes of 32 bits each, mixed at the end; keys are not chosen by anybody who gains by a collision. */
function hashOf(key: string): number {
  let high = 0x9e3779b9
  let low = 0x85ebca6b
  for (let index = 0; index < key.length; index++) {
    const code = key.charCodeAt(index)
    high = Math.imul(high ^ code, 0x27d4eb2f)
    low = Math.imul(low ^ code, 0x165667b1)
  }
  high = Math.imul(high ^ (high >>> 16) ^ low, 0x7feb352d)
  low = Math.imul(low ^ (low >>> 15) ^ high, 0x2c1b3c6d)
  high ^= high >>> 15
  low ^= low >>> 16
  return (high & 0x1fffff) * 2 ** 32 + (low >>> 0)
}
