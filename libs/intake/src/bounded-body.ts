/** A body that may be read only so far, and that knows what has come by, and whether it failed itself. */
import { isAscii } from 'node:buffer'

import { SmtpError } from '@postbus/smtp'

export class BoundedBody implements AsyncIterator<Uint8Array> {
  readonly #pieces: AsyncIterator<Uint8Array>
  readonly #maxBytes: number
  #size = 0
  #eightBit = false
  #ended = false
  #failure: unknown

  constructor(body: AsyncIterable<Uint8Array>, maxBytes: number) {
    this.#pieces = body[Symbol.asyncIterator]()
    this.#maxBytes = maxBytes
  }

  /** An octet above 127 has come by. */
  get eightBit(): boolean {
    return this.#eightBit
  }

  /** @throws SmtpError 552 above the limit — RFC 1870 §6.1 */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#ended) return { done: true, value: undefined }
    try {
      const result = await this.#pieces.next()
      if (result.done === true) {
        this.#ended = true
        return { done: true, value: undefined }
      }
      this.#size += result.value.length
      this.#eightBit ||= !isAscii(result.value)
      if (this.#size <= this.#maxBytes) return { done: false, value: result.value }
    } catch (cause) {
      this.#ended = true
      this.#failure = cause
      throw cause
    }
    throw new SmtpError(552, '5.3.4', 'Message too large')
  }

  /** Our lines, what was read already, and the rest. */
  async *after(front: Uint8Array, begin: Uint8Array): AsyncGenerator<Uint8Array> {
    yield front
    if (begin.length > 0) yield begin
    for (let next = await this.next(); next.done !== true; next = await this.next()) yield next.value
  }

  failedWith(cause: unknown): boolean {
    return this.#failure !== undefined && this.#failure === cause
  }

  /** Nobody reads the rest. */
  async leave(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#pieces.return?.()
  }
}
