/**
 * Responses on their way to the client. What is written together travels together; who writes much asks for room between
 * its rows, so that a slow reader slows its own command and costs a bounded buffer.
 */
import type { Duplex } from 'node:stream'

import { ConnectionLost } from './reply.ts'

export interface OutputLimits {
  /** Octets that wait in our buffers before a command waits for its reader. */
  maxBufferedBytes: number
  /** A client that reads nothing for so long is gone. */
  stallMs: number
}

const TOGETHER_BYTES = 64 * 1024

export class Output {
  readonly #limits: OutputLimits
  #stream: Duplex
  #parts: Uint8Array[] = []
  /** Octet strings that are to be made one part. */
  #text = ''
  #held = 0
  #soon: NodeJS.Immediate | undefined
  #sent = 0
  #wroteAt = performance.now()

  constructor(stream: Duplex, limits: OutputLimits) {
    this.#stream = stream
    this.#limits = limits
  }

  /** Octets written since the beginning. */
  get sentBytes(): number {
    return this.#sent
  }

  get silentForMs(): number {
    return performance.now() - this.#wroteAt
  }

  write(data: string | Uint8Array): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    this.#endText()
    this.#parts.push(bytes)
    this.#wrote(bytes.length)
  }

  /** One character per octet. Thousands of short ones cost little. */
  writeOctets(text: string): void {
    this.#text += text
    this.#wrote(text.length)
  }

  #endText(): void {
    if (this.#text === '') return
    this.#parts.push(Buffer.from(this.#text, 'latin1'))
    this.#text = ''
  }

  #wrote(octets: number): void {
    this.#held += octets
    this.#sent += octets
    if (this.#held >= TOGETHER_BYTES) this.flush()
    else this.#soon ??= setImmediate(() => this.flush())
  }

  line(text: string): void {
    this.write(`${text}\r\n`)
  }

  flush(): void {
    clearImmediate(this.#soon)
    this.#soon = undefined
    if (this.#held === 0) return
    this.#wroteAt = performance.now()
    this.#endText()
    const parts = this.#parts
    this.#parts = []
    this.#held = 0
    if (!this.#stream.writable) return
    // One call into the system for all of them, and no copy.
    this.#stream.cork()
    for (const part of parts) this.#stream.write(part)
    this.#stream.uncork()
  }

  get full(): boolean {
    return this.#held + this.#stream.writableLength > this.#limits.maxBufferedBytes
  }

  /** Resolves when there is room again. @throws ConnectionLost */
  async room(): Promise<void> {
    if (this.#stream.destroyed) throw new ConnectionLost('the connection is closed')
    if (this.full) await this.#drained()
  }

  /** Resolves when everything has been handed to the system. @throws ConnectionLost */
  async drain(): Promise<void> {
    this.flush()
    if (this.#stream.writableLength > 0) await this.#drained()
  }

  /** What is written from now on goes through another stream: TLS over the one before. */
  replace(stream: Duplex): void {
    this.flush()
    this.#stream = stream
  }

  async #drained(): Promise<void> {
    this.flush()
    const stream = this.#stream
    if (stream.destroyed) throw new ConnectionLost('the connection is closed')
    if (stream.writableLength === 0) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const closed = (): void => reject(new ConnectionLost('the connection is closed'))
    const timer = setTimeout(() => {
      const lost = new ConnectionLost('the client does not read')
      stream.destroy(lost)
      reject(lost)
    }, this.#limits.stallMs)
    // An empty write calls back after everything before it: below the high-water mark there is no `drain` event.
    stream.write('', () => resolve())
    stream.once('close', closed)
    try {
      await promise
    } finally {
      clearTimeout(timer)
      stream.off('close', closed)
    }
  }
}
