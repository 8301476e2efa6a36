/** Reads a body into memory as far as it may, and hands out what it holds and the rest as one stream. */

/** What all messages of a writer hold together. */
export class HeldBytes {
  readonly #max: number
  #held = 0

  constructor(max: number) {
    this.#max = max
  }

  take(bytes: number): void {
    this.#held += bytes
  }

  give(bytes: number): void {
    this.#held -= bytes
  }

  get full(): boolean {
    return this.#held > this.#max
  }
}

export class HeldBody {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #maxBytes: number
  readonly #all: HeldBytes
  readonly pieces: Uint8Array[] = []
  #held = 0
  #done = false

  constructor(body: AsyncIterable<Uint8Array>, maxBytes: number, all: HeldBytes) {
    this.#iterator = body[Symbol.asyncIterator]()
    this.#maxBytes = maxBytes
    this.#all = all
  }

  /** Octets in memory. */
  get size(): number {
    return this.#held
  }

  /** @returns whether the whole body is in memory */
  async fill(): Promise<boolean> {
    while (this.#held <= this.#maxBytes && !this.#all.full) {
      const piece = await this.#next()
      if (piece === null) return true
      this.pieces.push(piece)
      this.#held += piece.length
      this.#all.take(piece.length)
    }
    return false
  }

  /** What is held, giving its memory back, and then what comes. */
  async *stream(): AsyncGenerator<Uint8Array> {
    for (let piece = this.pieces.shift(); piece; piece = this.pieces.shift()) {
      yield piece
      this.#held -= piece.length
      this.#all.give(piece.length)
    }
    for (let piece = await this.#next(); piece !== null; piece = await this.#next()) yield piece
  }

  /** To be called in the end; tells the body when nobody will read its rest. */
  async leave(): Promise<void> {
    this.#all.give(this.#held)
    this.#held = 0
    this.pieces.length = 0
    if (!this.#done) await this.#iterator.return?.()
  }

  async #next(): Promise<Uint8Array | null> {
    if (this.#done) return null
    try {
      const { done, value } = await this.#iterator.next()
      if (done !== true) return value
    } catch (cause) {
      this.#done = true
      throw cause
    }
    this.#done = true
    return null
  }
}
