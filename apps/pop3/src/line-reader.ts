/** Lines of one client, bounded, as they are asked for: what is pipelined waits in the socket — RFC 2449 §6.6. */
import type { Socket } from 'node:net'

const LF = 0x0a

/** The client sent more than a line may have. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong'
}

export class LineReader {
  readonly #socket: Socket
  readonly #maxLength: number
  #pending: Buffer = Buffer.alloc(0)
  #ended = false

  constructor(socket: Socket, maxLength: number) {
    this.#socket = socket
    this.#maxLength = maxLength
    socket.once('end', () => (this.#ended = true))
    socket.once('close', () => (this.#ended = true))
  }

  /** A line that is here already, without its end; else null. */
  take(): string | null {
    const end = this.#pending.indexOf(LF)
    if (end === -1) return null
    const line = this.#pending.subarray(0, end).toString('utf8')
    this.#pending = this.#pending.subarray(end + 1)
    return line.endsWith('\r') ? line.slice(0, -1) : line
  }

  /** Without its end; null at the end of the connection. @throws LineTooLong; the reason of `signal` */
  async next(signal: AbortSignal): Promise<string | null> {
    for (;;) {
      signal.throwIfAborted()
      const line = this.take()
      if (line !== null) return line
      if (this.#pending.length > this.#maxLength) throw new LineTooLong(`more than ${this.#maxLength} octets`)
      const chunk = this.#socket.read() as Buffer | null
      if (chunk !== null) this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
      else if (this.#ended) return null
      else await this.#more(signal)
    }
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const events = ['readable', 'end', 'close']
      const done = (): void => {
        for (const event of events) this.#socket.off(event, done)
        signal.removeEventListener('abort', aborted)
        resolve()
      }
      const aborted = (): void => {
        done()
        reject(signal.reason)
      }
      for (const event of events) this.#socket.once(event, done)
      signal.addEventListener('abort', aborted, { once: true })
    })
  }
}
