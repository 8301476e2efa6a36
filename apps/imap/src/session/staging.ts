/**
 * Message literals on their way to the mailstore. Small ones are held and travel in the request; others go into blobs under
 * `staged/`, ours until the mailstore has taken them, and taken away again when nothing comes of their command.
 */
import { randomBytes } from 'node:crypto'

import type { Blobs } from '@postbus/blobs'
import { MAX_APPEND_INLINE_BYTES } from '@postbus/contracts'
import { CrlfEncoder } from '@postbus/message'

import { unavailable } from '../reply.ts'

export type Staged = { blob: string; size: number } | { octets: string; size: number }

export class Staging {
  readonly #blobs: Pick<Blobs, 'put' | 'delete'>
  /** By the literal's number within its command. */
  readonly #staged = new Map<number, Staged>()
  #heldBytes = 0

  constructor(blobs: Pick<Blobs, 'put' | 'delete'>) {
    this.#blobs = blobs
  }

  get count(): number {
    return this.#staged.size
  }

  /** Whether nothing of it is in a blob. */
  get held(): boolean {
    return [...this.#staged.values()].every((staged) => 'octets' in staged)
  }

  get(index: number): Staged {
    const staged = this.#staged.get(index)
    if (!staged) throw new Error('a message literal was not staged')
    return staged
  }

  /**
   * Streams a literal away, with CRLF at the ends of its lines unless it is `binary`. What `octets` throws is thrown on, as it is.
   * @throws ImapError when it cannot be stored
   */
  async stage(index: number, size: number, octets: AsyncIterable<Uint8Array>, binary = false): Promise<void> {
    let lost: Error | undefined
    const remembered = remembering(octets, (cause) => (lost = cause))
    let length = size
    const lines = binary ? remembered : withCrlf(remembered, (total) => (length = total))
    if (this.#heldBytes + 2 * size <= MAX_APPEND_INLINE_BYTES) {
      const held = Buffer.concat(await Array.fromAsync(lines))
      this.#heldBytes += held.length
      this.#staged.set(index, { octets: held.toString('base64'), size: held.length })
      return
    }
    const blob = `staged/${randomBytes(16).toString('hex')}`
    this.#staged.set(index, { blob, size })
    try {
      // Every octet may be a bare line feed. Not durable yet: what the mailstore adopts, it makes so.
      await this.#blobs.put(blob, lines, { maxBytes: 2 * size, durable: false })
      this.#staged.set(index, { blob, size: length })
    } catch (cause) {
      throw lost ?? unavailable(cause)
    }
  }

  /** The command was done: what was staged is the mailstore's. */
  handedOver(): void {
    this.#staged.clear()
    this.#heldBytes = 0
  }

  async discard(): Promise<void> {
    const blobs = [...this.#staged.values()].flatMap((staged) => ('blob' in staged ? staged.blob : []))
    this.handedOver()
    // What cannot be deleted now is swept by age.
    await Promise.all(blobs.map((blob) => this.#blobs.delete(blob).catch(() => undefined)))
  }
}

async function* withCrlf(
  octets: AsyncIterable<Uint8Array>,
  onEnd: (length: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new CrlfEncoder()
  let length = 0
  for await (const chunk of octets) {
    const lines = encoder.write(chunk)
    length += lines.length
    yield lines
  }
  onEnd(length)
}

async function* remembering(
  octets: AsyncIterable<Uint8Array>,
  onError: (cause: Error) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* octets
  } catch (cause) {
    if (cause instanceof Error) onError(cause)
    throw cause
  }
}
