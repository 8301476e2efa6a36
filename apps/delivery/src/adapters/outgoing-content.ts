/**
 * The content of one message on its way into a session. The library asks a message to `pipe` itself into a stream of its own, once the
 * peer takes data; through three streams a small message costs more than everything else that is said. So this is no stream but what
 * the library asks of one, and goes to the socket with its final dot in one write where it is small.
 */
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'

import { DotStuffing } from './dot-stuffing.ts'

/** Where content goes: ours, or the library's stream where it keeps its own. */
export interface Sink {
  /** @returns whether more may follow at once; otherwise after `drain` */
  write(chunk: Uint8Array): boolean
  end(): void
  once(event: 'drain', listener: () => void): unknown
}

export interface ContentEvents {
  /** Before the first octet: the peer has said that it takes data. */
  begun(): void
  /** All of it is written, and the final dot goes now. */
  ended(): void
}

/** What a socket is written by. */
export type DataSocket = Pick<Socket, 'cork' | 'uncork' | 'once'> & { write(octets: Uint8Array): boolean }

/** Emits `error` when it cannot be read to its end; then the final dot is not written. */
export class OutgoingContent extends EventEmitter<{ error: [unknown] }> {
  readonly #body: AsyncIterable<Uint8Array>
  readonly #events: ContentEvents
  #destroyed = false
  #wake = (): void => {}

  constructor(body: AsyncIterable<Uint8Array>, events: ContentEvents) {
    super()
    this.#body = body
    this.#events = events
  }

  pipe(sink: Sink): void {
    this.#send(sink).catch((error: unknown) => !this.#destroyed && this.emit('error', error))
  }

  /** It goes no further. */
  destroy(): void {
    this.#destroyed = true
    this.#wake()
  }

  async #send(sink: Sink): Promise<void> {
    this.#events.begun()
    for await (const chunk of this.#body) {
      if (!this.#destroyed && !sink.write(chunk)) await this.#drained(sink)
      if (this.#destroyed) return
    }
    this.#events.ended()
    sink.end()
  }

  #drained(sink: Sink): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      sink.once('drain', resolve)
    })
  }
}

/** A socket after DATA was answered. */
export class DataSink implements Sink {
  readonly #socket: DataSocket
  readonly #stuffing = new DotStuffing()
  #corked = false
  /** As the library's own stream counts them. */
  outByteCount = 0

  constructor(socket: DataSocket) {
    this.#socket = socket
  }

  write(chunk: Uint8Array): boolean {
    const hasRoom = this.#put(...this.#stuffing.next(chunk))
    if (!hasRoom) this.#flush()
    return hasRoom
  }

  end(): void {
    this.#put(this.#stuffing.end())
    this.#flush()
  }

  once(event: 'drain', listener: () => void): void {
    this.#socket.once(event, listener)
  }

  #put(...pieces: Uint8Array[]): boolean {
    if (!this.#corked) this.#socket.cork()
    this.#corked = true
    let hasRoom = true
    for (const piece of pieces) {
      hasRoom = this.#socket.write(piece)
      this.outByteCount += piece.length
    }
    return hasRoom
  }

  #flush(): void {
    this.#socket.uncork()
    this.#corked = false
  }
}
