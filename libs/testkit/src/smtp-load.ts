/**
 * A load of SMTP transactions with a ledger of its own: every 250 after DATA is on disk, outside the platform, before the
 * next message is begun. What the ledger holds was promised; what was sent without a 250 may or may not have arrived.
 */
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'

export interface LoadOptions {
  host: string
  port: number
  recipients: string[]
  messages: number
  sessions: number
  /** Octets of body text. */
  bytes: number
  /** Path of the ledger: a line `id recipient reply` for each 250, on disk before the next message. Null: none is kept. */
  ledger: string | null
  onAccepted?: (accepted: number) => void
}

export interface LoadResult {
  /** Message id to recipient, of every 250. */
  promised: Map<string, string>
  /** Ids of transactions that ended without an answer to DATA. */
  unanswered: string[]
  /** Refusals seen, by first line. */
  refusals: Map<string, number>
  elapsedMs: number
}

/** Pause before a refused or broken session tries again. */
const RETRY_MS = 100

export async function smtpLoad(options: LoadOptions): Promise<LoadResult> {
  const promised = new Map<string, string>()
  const unanswered: string[] = []
  const refusals = new Map<string, number>()
  const ledger = options.ledger === null ? null : await open(options.ledger, 'a')
  const body = `${'The quick brown fox jumps over the lazy dog. '.repeat(2).slice(0, 76)}\r\n`.repeat(
    Math.ceil(options.bytes / 78),
  )
  let next = 0
  const startedAt = Date.now()

  async function session(): Promise<void> {
    while (next < options.messages) {
      const client = await SmtpClient.open(options.host, options.port)
      if (client === null) {
        await pause(RETRY_MS)
        continue
      }
      try {
        while (next < options.messages) {
          const id = `load-${next++}`
          if (!(await deliver(client, id))) break
        }
      } finally {
        client.close()
      }
    }
  }

  /** One message until it is answered with 250, or its answer is lost. False when the session is of no more use. */
  async function deliver(client: SmtpClient, id: string): Promise<boolean> {
    const recipient = options.recipients[Number(id.slice(5)) % options.recipients.length] as string
    for (let session: SmtpClient | null = client; ;) {
      const outcome = session === null ? 'again' : await session.send(id, recipient, body)
      if (typeof outcome === 'object') {
        await ledger?.appendFile(`${id} ${recipient} ${outcome.reply}\n`)
        await ledger?.datasync()
        promised.set(id, recipient)
        options.onAccepted?.(promised.size)
        if (session !== client) session?.close()
        return session === client
      }
      if (session !== client) session?.close()
      if (outcome === 'unanswered') {
        unanswered.push(id)
        return false
      }
      if (outcome !== 'again') refusals.set(outcome, (refusals.get(outcome) ?? 0) + 1)
      await pause(RETRY_MS)
      session = await SmtpClient.open(options.host, options.port)
    }
  }

  try {
    await Promise.all(Array.from({ length: options.sessions }, session))
  } finally {
    await ledger?.close()
  }
  return { promised, unanswered, refusals, elapsedMs: Date.now() - startedAt }
}

class SmtpClient {
  readonly #socket: Socket
  readonly #lines: AsyncIterator<string>

  constructor(socket: Socket) {
    this.#socket = socket
    this.#lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]()
  }

  /** Null when nobody answers, or not with a greeting. */
  static async open(host: string, port: number): Promise<SmtpClient | null> {
    const socket = connect(port, host)
    socket.on('error', () => {}) // Seen as the end of the lines.
    socket.setNoDelay(true)
    try {
      await once(socket, 'connect')
    } catch {
      return null
    }
    const client = new SmtpClient(socket)
    const greeted =
      (await client.#reply())?.startsWith('220') && (await client.#ask('EHLO load.test'))?.startsWith('250')
    if (greeted) return client
    client.close()
    return null
  }

  /** `{reply}` of the 250; 'unanswered' when the answer to the data is lost; else why it was refused, for another try. */
  async send(id: string, recipient: string, body: string): Promise<{ reply: string } | 'unanswered' | (string & {})> {
    this.#socket.write(`MAIL FROM:<load@example.com>\r\nRCPT TO:<${recipient}>\r\nDATA\r\n`)
    const [mail, rcpt, data] = [await this.#reply(), await this.#reply(), await this.#reply()]
    if (!data?.startsWith('354')) return [mail, rcpt, data].find((line) => !line?.startsWith('250')) ?? 'again'
    this.#socket.write(
      `From: load@example.com\r\nTo: ${recipient}\r\nSubject: ${id}\r\nMessage-ID: <${id}@load.test>\r\nX-Load-Id: ${id}\r\n\r\n${body}.\r\n`,
    )
    const reply = await this.#reply()
    if (reply === null) return 'unanswered'
    return reply.startsWith('250') ? { reply } : reply
  }

  close(): void {
    this.#socket.destroy()
  }

  async #ask(command: string): Promise<string | null> {
    this.#socket.write(`${command}\r\n`)
    return this.#reply()
  }

  /** The last line of a reply, or null when the connection ended or broke. */
  async #reply(): Promise<string | null> {
    try {
      for (;;) {
        const { value, done } = await this.#lines.next()
        if (done) return null
        if (value[3] !== '-') return value
      }
    } catch {
      return null
    }
  }
}
