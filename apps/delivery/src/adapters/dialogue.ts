/**
 * Commands to a peer and its replies, in turn. A reply that had come before the connection ended is an answer all the same; one that
 * nobody asked for puts the two sides out of step, and then no later reply can be believed.
 *
 * STANDARDS  RFC 5321 §4.2 (one reply to each command), §4.5.3.2 (how long it may take); RFC 2920 (several commands at once)
 */
import type { Socket } from 'node:net'

import { replyText } from '../attempt/reply.ts'
import { ReplyReader } from './reply-reader.ts'

/** The connection is gone, or what came over it cannot be understood: no further reply will come. */
export class DialogueOver extends Error {
  override readonly name = 'DialogueOver'
}

interface Waiter {
  resolve(reply: string): void
  reject(reason: DialogueOver): void
  timer: NodeJS.Timeout
}

/** How long the peer may take to close its side after ours. */
const LINGER_MS = 5000

export class Dialogue {
  readonly socket: Socket
  /** Called when something comes that nobody waits for, a reply or the end. */
  unasked: () => void = () => {}
  readonly #reader = new ReplyReader()
  /** Those that have come and were not asked for yet. */
  readonly #replies: string[] = []
  #waiter: Waiter | undefined
  #over: DialogueOver | undefined
  #closing = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.once('end', () => this.#end('The next host closed the connection'))
    socket.once('close', () => this.#end('The connection to the next host is gone'))
    socket.on('error', (error: Error & { code?: string }) =>
      this.#end(`The connection to the next host failed (${error.code ?? error.message})`),
    )
  }

  /** Something has come that nobody asked for, or the end. */
  get disturbed(): boolean {
    return this.#replies.length > 0 || this.#reader.inside || this.#over !== undefined
  }

  /** @param lines without their ends, in UTF-8; they leave together */
  say(lines: readonly string[]): void {
    if (!this.#closing) this.socket.write(`${lines.join('\r\n')}\r\n`)
  }

  /**
   * The next reply, fit to be shown.
   * @param withinMs until it is whole
   * @throws DialogueOver
   */
  reply(withinMs: number): Promise<string> {
    const reply = this.#replies.shift()
    if (reply !== undefined) return Promise.resolve(reply)
    if (this.#over) return Promise.reject(this.#over)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#end('The next host did not answer in time'), withinMs)
      this.#waiter = { resolve, reject, timer }
    })
  }

  /** Resolves when the peer has taken what was written, when something comes from it, or when it has taken nothing for so long: that is the end. */
  async drained(withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(() => this.#end('The next host takes no more data'), withinMs)
    this.unasked = resolve
    this.socket.once('drain', resolve)
    if (!this.disturbed) await promise
    this.socket.off('drain', resolve)
    this.unasked = () => {}
    clearTimeout(timer)
  }

  /** @param last what is said before, if anything can be said still */
  close(last?: string): void {
    if (this.#closing) return
    if (last !== undefined && !this.#over) this.say([last])
    this.#closing = true
    this.#end('The session was closed')
    this.socket.end()
    const timer = setTimeout(() => this.socket.destroy(), LINGER_MS)
    timer.unref()
    this.socket.once('close', () => clearTimeout(timer))
    this.socket.resume()
  }

  #take(chunk: Buffer): void {
    if (this.#over) return
    try {
      for (const reply of this.#reader.next(chunk)) this.#heard(replyText(reply))
    } catch (error) {
      this.#end(error instanceof Error ? replyText(error.message) : String(error))
    }
  }

  #heard(reply: string): void {
    const waiter = this.#waiter
    if (waiter === undefined) {
      this.#replies.push(reply)
      return this.unasked()
    }
    this.#waiter = undefined
    clearTimeout(waiter.timer)
    waiter.resolve(reply)
  }

  #end(why: string): void {
    if (this.#over) return
    this.#over = new DialogueOver(why)
    const waiter = this.#waiter
    this.#waiter = undefined
    clearTimeout(waiter?.timer)
    waiter?.reject(this.#over)
    this.unasked()
  }
}
