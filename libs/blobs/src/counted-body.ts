/** A body that is told short from long, and how long it has been so far. */
import { BlobTooLarge } from './blobs.ts'

export class CountedBody {
  readonly #body: AsyncIterable<Uint8Array>
  readonly #maxBytes: number
  size = 0

  constructor(body: AsyncIterable<Uint8Array>, maxBytes: number) {
    this.#body = body
    this.#maxBytes = maxBytes
  }

  /** Hands on a short body in one piece, a longer one as it comes. */
  async whole<T>(
    shortBytes: number,
    short: (bytes: Buffer) => Promise<T>,
    long: (pieces: AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const pieces = this.#counted()
    try {
      const held: Uint8Array[] = []
      for (let heldBytes = 0; heldBytes <= shortBytes;) {
        const { value, done } = await pieces.next()
        if (done) return await short(Buffer.concat(held))
        held.push(value)
        heldBytes += value.length
      }
      return await long(first(held, pieces))
    } finally {
      await pieces.return(undefined)
    }
  }

  async *#counted(): AsyncGenerator<Uint8Array, undefined> {
    for await (const piece of this.#body) {
      this.size += piece.length
      if (this.size > this.#maxBytes) throw new BlobTooLarge(`more than ${this.#maxBytes} octets`)
      yield piece
    }
    return undefined
  }
}

async function* first(held: Uint8Array[], then: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* held.splice(0)
  yield* then
}
