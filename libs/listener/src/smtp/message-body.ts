/**
 * The content of one message on its way from the socket to the handler, with back pressure.
 *
 * It ends only when the whole message came. Anything else (a refusal, a client that went away) makes the reading loop
 * throw, so that nothing half is ever kept.
 */

/** Content that may wait for the reader before the socket is no longer read. */
const HIGH_WATER_OCTETS = 256 * 1024

export class MessageBody implements AsyncIterable<Buffer>, AsyncIterator<Buffer, undefined> {
  #waiting: Buffer[] = []
  #waitingOctets = 0
  #octets = 0
  #ended = false
  #failure: Error | null = null
  /** The reader left before the end: what still comes is dropped. */
  #abandoned = false
  #reader: PromiseWithResolvers<IteratorResult<Buffer, undefined>> | null = null
  #writer: PromiseWithResolvers<void> | null = null

  /** Octets of content so far. */
  get size(): number {
    return this.#octets
  }

  get failure(): Error | null {
    return this.#failure
  }

  /** The reader is behind. */
  get full(): boolean {
    return this.#writer !== null
  }

  /** A promise when the reader is behind; wait for it before more is pushed. */
  push(content: readonly Buffer[]): Promise<void> | undefined {
    for (const piece of content) {
      this.#octets += piece.length
      if (this.#abandoned || this.#failure) continue
      if (this.#reader) {
        this.#reader.resolve({ value: piece, done: false })
        this.#reader = null
      } else {
        this.#waiting.push(piece)
        this.#waitingOctets += piece.length
      }
    }
    if (this.#waitingOctets < HIGH_WATER_OCTETS) return undefined
    this.#writer = Promise.withResolvers<void>()
    return this.#writer.promise
  }

  end(): void {
    this.#ended = true
    this.#reader?.resolve({ value: undefined, done: true })
    this.#reader = null
  }

  /** The first reason counts. After the end there is nothing to fail. */
  fail(reason: Error): void {
    if (this.#failure || this.#ended) return
    this.#failure = reason
    this.#drop()
    this.#reader?.reject(reason)
    this.#reader = null
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#failure) return Promise.reject(this.#failure)
    const value = this.#waiting.shift()
    if (value) {
      this.#waitingOctets -= value.length
      if (this.#waitingOctets < HIGH_WATER_OCTETS) this.#release()
      return Promise.resolve({ value, done: false })
    }
    if (this.#ended || this.#abandoned) return Promise.resolve({ value: undefined, done: true })
    this.#reader = Promise.withResolvers()
    return this.#reader.promise
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.abandon()
    return Promise.resolve({ value: undefined, done: true })
  }

  /** Nobody reads any more; the rest of the message passes by. */
  abandon(): void {
    this.#abandoned = true
    this.#drop()
  }

  #drop(): void {
    this.#waiting = []
    this.#waitingOctets = 0
    this.#release()
  }

  #release(): void {
    this.#writer?.resolve()
    this.#writer = null
  }
}
