/**
 * Commands as they come from one connection. Octets are taken from the socket only while somebody waits for them, apart
 * from a bounded look-ahead, so that a client which sends more than it lets us answer is slowed down by its own socket.
 */
import { CommandReader, type Read, type ReaderLimits } from '@postbus/imap-wire'
import type { Duplex } from 'node:stream'

import { ConnectionLost } from './reply.ts'

export interface InputLimits extends ReaderLimits {
  /** Octets taken from the socket ahead of need. */
  maxAheadBytes: number
}

/** The client has been silent for too long. */
export class Silence extends Error {
  override readonly name = 'Silence'
}

/** Somebody wants the session to end, and the client is between two commands. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

export class Input {
  readonly #limits: InputLimits
  readonly #gone = new AbortController()
  #reader: CommandReader
  #stream: Duplex
  #ended = false
  #interrupted = false
  #cut = false
  #received = 0
  #wake: () => void = () => undefined
  /** Done when all that came has been read, before more is waited for; whether there was anything to do. */
  beforeWaiting: () => Promise<boolean> = async () => false

  constructor(stream: Duplex, limits: InputLimits) {
    this.#limits = limits
    this.#stream = stream
    this.#reader = new CommandReader(limits)
    this.#attach()
  }

  /** Aborted when the connection is closed: nobody will read what a command still computes. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  get receivedBytes(): number {
    return this.#received
  }

  /** Whether a command has been read as far as a literal: what was promised for it is still to be done. */
  get midCommand(): boolean {
    return this.#reader.midCommand
  }

  get reader(): Pick<CommandReader, 'hold' | 'stream' | 'refuse'> {
    return this.#reader
  }

  /**
   * What the client says next. `idleMs` is for the time between commands, `stallMs` for the time in the middle of one.
   * @throws Silence nothing for so long
   * @throws Interrupted between two commands, after `interrupt`
   * @throws ConnectionLost
   */
  next(idleMs: number, stallMs: number): Promise<Read> {
    return this.#until(
      () => this.#reader.next(),
      () => (this.#reader.midCommand || this.#reader.buffered > 0 ? stallMs : idleMs),
    )
  }

  /** A line outside commands; null when it is too long. */
  async line(silenceMs: number): Promise<string | null> {
    const found = await this.#until(
      () => {
        const line = this.#reader.nextLine()
        return line === undefined ? undefined : { line }
      },
      () => silenceMs,
    )
    return found.line
  }

  /** Whoever waits between two commands, or waits in the next moment, stops waiting. */
  interrupt(): void {
    this.#interrupted = true
    this.#wake()
  }

  /** As `interrupt`, in the middle of a command, too. */
  cut(): void {
    this.#cut = true
    this.#wake()
  }

  /**
   * The octets after STARTTLS are another conversation. What came ahead of the handshake is thrown away: somebody between us
   * and the client may have put it there — RFC 9051 §11.1, §6.2.1.
   * @returns it, for whoever the octets after COMPRESS are the same conversation to — RFC 4978 §3
   */
  detach(): Uint8Array {
    this.#stream.off('data', this.#take)
    this.#stream.off('end', this.#end)
    this.#stream.off('close', this.#close)
    this.#stream.pause()
    const ahead = this.#reader.rest()
    this.#reader = new CommandReader(this.#limits)
    return ahead
  }

  replace(stream: Duplex): void {
    this.#stream = stream
    this.#attach()
  }

  #attach(): void {
    this.#stream.on('data', this.#take)
    this.#stream.once('end', this.#end)
    this.#stream.once('close', this.#close)
    this.#stream.pause()
  }

  readonly #take = (chunk: Uint8Array): void => {
    this.#received += chunk.length
    this.#reader.push(chunk)
    if (this.#reader.buffered > this.#limits.maxAheadBytes) this.#stream.pause()
    this.#wake()
  }

  readonly #end = (): void => {
    this.#ended = true
    this.#wake()
  }

  readonly #close = (): void => {
    this.#ended = true
    this.#gone.abort(new ConnectionLost('the client closed the connection'))
    this.#wake()
  }

  async #until<Found>(look: () => Found | undefined, patience: () => number): Promise<Found> {
    let received = this.#received
    let silentSince = performance.now()
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      if (await this.beforeWaiting()) continue
      if (this.#cut || (this.#interrupted && !this.#reader.midCommand)) throw new Interrupted('the session is to end')
      if (this.#ended) throw new ConnectionLost('the client closed the connection')
      if (received !== this.#received) silentSince = performance.now()
      received = this.#received
      const left = silentSince + patience() - performance.now()
      if (left <= 0) throw new Silence(`nothing came for ${patience()} ms`)
      await this.#more(left)
    }
  }

  async #more(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const timer = setTimeout(resolve, waitMs)
    this.#stream.resume()
    await promise
    clearTimeout(timer)
    this.#wake = () => undefined
  }
}
