/** One scripted client connection: lines and exact bytes in the order they come, TLS from the start or in the middle. */
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib'

export interface ConversationOptions {
  port: number
  host?: string
  /** TLS from the first byte, as on 465, 993 and 995. */
  implicitTls?: boolean
  /** What TLS trusts and calls the server. Without `ca` any certificate is taken. */
  tls?: ConnectionOptions
  /** How long one answer may take. Default 30 s: as it may on a machine that is busy with other suites. */
  timeoutMs?: number
}

export class Conversation {
  readonly #options: ConversationOptions
  #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #ended = false
  #fault: Error | null = null
  #wake: () => void = () => {}
  #send: (bytes: string | Uint8Array) => void = (bytes) => void this.#socket.write(bytes)

  private constructor(socket: Socket, options: ConversationOptions) {
    this.#options = options
    this.#socket = socket
    this.#listen()
  }

  static async open(options: ConversationOptions): Promise<Conversation> {
    const { port, host = '127.0.0.1' } = options
    const socket = options.implicitTls
      ? connectTls({ port, host, ...tlsOptions(options) })
      : connectTcp({ port, host, noDelay: true })
    await once(socket, options.implicitTls ? 'secureConnect' : 'connect')
    return new Conversation(socket, options)
  }

  write(bytes: string | Uint8Array): void {
    this.#send(bytes)
  }

  /** The next line without its CRLF; null when the server closed instead. A line ended by a bare LF keeps what is before it. */
  async line(): Promise<string | null> {
    const end = await this.#until(() => {
      const lf = this.#received.indexOf(0x0a)
      return lf < 0 ? null : lf + 1
    })
    return end === null
      ? null
      : this.#take(end)
          .toString('utf8')
          .replace(/\r?\n$/, '')
  }

  /** Exactly so many bytes; null when the server closed before. */
  async bytes(count: number): Promise<Buffer | null> {
    const end = await this.#until(() => (this.#received.length >= count ? count : null))
    return end === null ? null : this.#take(end)
  }

  /** Resolves with what the server still sent when it has closed. */
  async rest(): Promise<string> {
    await this.#until(() => null)
    return this.#take(this.#received.length).toString('utf8')
  }

  /** The TLS handshake of STARTTLS or STLS, after the server agreed to it. */
  async startTls(): Promise<void> {
    // Whatever stands here came unprotected after the server agreed to TLS: an answer to injected commands.
    if (this.#received.length > 0) throw new Error('the server went on speaking before the handshake')
    this.#socket.removeAllListeners()
    const secure = connectTls({ socket: this.#socket, ...tlsOptions(this.#options) })
    await once(secure, 'secureConnect')
    this.#socket = secure
    this.#listen()
  }

  /** From now on both directions are DEFLATE — RFC 4978 §3. */
  compress(): void {
    const inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH })
    const deflate = createDeflateRaw()
    const socket = this.#socket
    for (const event of ['data', 'end', 'close']) socket.removeAllListeners(event)
    inflate.on('data', (chunk: Buffer) => this.#append(chunk))
    inflate.on('close', () => this.#end())
    inflate.on('error', (error) => {
      this.#fault = error
      socket.destroy()
    })
    inflate.write(this.#take(this.#received.length))
    socket.pipe(inflate)
    socket.on('close', () => inflate.end())
    deflate.on('data', (chunk: Buffer) => socket.write(chunk))
    this.#send = (bytes) => {
      deflate.write(bytes)
      deflate.flush(constants.Z_SYNC_FLUSH)
    }
  }

  /** What came so far and nobody asked for; for the words of a failure. */
  get pending(): string {
    return this.#received.toString('utf8')
  }

  async close(): Promise<void> {
    if (this.#socket.destroyed) return
    const closed = once(this.#socket, 'close')
    this.#socket.destroy()
    await closed
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => this.#append(chunk))
    this.#socket.on('error', (error) => {
      this.#fault = error
    })
    for (const event of ['end', 'close']) {
      this.#socket.on(event, () => this.#end())
    }
  }

  #end(): void {
    this.#ended = true
    this.#wake()
  }

  #append(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    this.#wake()
  }

  #take(count: number): Buffer {
    const taken = this.#received.subarray(0, count)
    this.#received = this.#received.subarray(count)
    return taken
  }

  /** Waits until `found` says how many bytes make an answer; null when the server closed before. */
  async #until(found: () => number | null): Promise<number | null> {
    const { timeoutMs = 30_000 } = this.#options
    const { promise: timeout, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    try {
      for (;;) {
        const end = found()
        if (end !== null || this.#ended) return end
        const { promise: woken, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await Promise.race([woken, timeout])
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Why the connection broke, if it did not simply end. */
  get fault(): Error | null {
    return this.#fault
  }
}

function tlsOptions({ tls }: ConversationOptions): ConnectionOptions {
  return { rejectUnauthorized: tls?.ca !== undefined, ...tls }
}
