/** Bytes in, bytes out, in order. Grows with what waits in it and lets go of its memory when nothing does. */
const SMALLEST = 1024

export class ByteQueue {
  #buffer = Buffer.alloc(0)
  #start = 0
  #end = 0
  /** No line feed before here: a line that comes in single octets is searched once. */
  #searched = 0

  get length(): number {
    return this.#end - this.#start
  }

  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#buffer.length) this.#makeRoom(chunk.length)
    this.#buffer.set(chunk, this.#end)
    this.#end += chunk.length
  }

  /** Where the next line feed is, counted from the front; -1 when none is here yet. */
  lineFeed(): number {
    const from = Math.max(this.#searched, this.#start)
    const at = this.#buffer.subarray(0, this.#end).indexOf(0x0a, from)
    this.#searched = at < 0 ? this.#end : at
    return at < 0 ? -1 : at - this.#start
  }

  /** A copy, so that it stays what it is while more arrives. */
  take(count: number): Buffer {
    const taken = this.peek(count)
    this.drop(taken.length)
    return taken
  }

  /** The first octets, left where they are. */
  peek(count: number): Buffer {
    return Buffer.from(this.#buffer.subarray(this.#start, this.#start + Math.min(count, this.length)))
  }

  drop(count: number): void {
    this.#start += Math.min(count, this.length)
    if (this.#start < this.#end) return
    this.#buffer = Buffer.alloc(0)
    this.#start = this.#end = this.#searched = 0
  }

  #makeRoom(count: number): void {
    const needed = this.length + count
    const target = needed <= this.#buffer.length / 2 ? this.#buffer : Buffer.allocUnsafeSlow(roomFor(needed))
    this.#buffer.copy(target, 0, this.#start, this.#end)
    this.#searched = Math.max(0, this.#searched - this.#start)
    this.#end = this.length
    this.#start = 0
    this.#buffer = target
  }
}

function roomFor(needed: number): number {
  let room = SMALLEST
  while (room < needed) room *= 2
  return room
}
