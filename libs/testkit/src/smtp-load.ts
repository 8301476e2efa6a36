/**
 * A load of SMTP transactions with a ledger of its own: every 250 after DATA is on disk, outside the platform, before the
 * next message is begun. What the ledger holds was promised; what was sent without a 250 may or may not have arrived.
 */
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

export interface LoadOptions {
  host: string
  /** Of several, as of several MX hosts: each session goes to the next, and so does one that found nobody. */
  port: number | readonly number[]
  recipients: string[]
  messages: number
  sessions: number
  /** Messages begun per second, whatever becomes of those before; as many at once as there are sessions. Without it as fast as it goes. */
  perSecond?: number
  /** Octets of body text. */
  bytes: number
  /** Path of the ledger: a line `id recipient reply` for each 250, on disk before the next message. Null: none is kept. */
  ledger: string | null
  /** What message ids begin with; another one for every load that runs at the same time. */
  prefix?: string
  /** TLS from the first byte and AUTH PLAIN, as for submission; the account is the sender. */
  login?: { user: string; password: string; ca: string }
  onAccepted?: (accepted: number) => void
  /** Told of each refusal's first line: of the greeting, the login, or a message that is tried again. */
  onRefused?: (line: string) => void
  /** Ends the load early, with what was promised until then. */
  signal?: AbortSignal
  /** Called the moment a 250 is read, before the ledger and everything else: for who wants to know what went before it. */
  onReply?: (id: string, reply: string) => void
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

export interface LoadMessage {
  id: string
  sender: string
  recipient: string
}

/** What stands behind DATA, without the dot: a server that keeps the message keeps exactly this behind its trace header. */
export function loadMessage({ id, sender, recipient }: LoadMessage, body: string): string {
  return `From: ${sender}\r\nTo: ${recipient}\r\nSubject: ${id}\r\nMessage-ID: <${id}@load.test>\r\nX-Load-Id: ${id}\r\n\r\n${body}`
}

/** Lines of 78 octets, so many that they are at least this long. */
export function loadBody(bytes: number): string {
  const line = `${'The quick brown fox jumps over the lazy dog. '.repeat(2).slice(0, 76)}\r\n`
  return line.repeat(Math.ceil(bytes / line.length))
}

/** Without a login. */
export const LOAD_SENDER = 'load@example.com'

/** Pause before a refused or broken session tries again. */
const RETRY_MS = 100

export async function smtpLoad(options: LoadOptions): Promise<LoadResult> {
  const promised = new Map<string, string>()
  const unanswered: string[] = []
  const refusals = new Map<string, number>()
  const ledger = options.ledger === null ? null : await open(options.ledger, 'a')
  const body = loadBody(options.bytes)
  let next = 0
  const more = (): boolean => next < options.messages && options.signal?.aborted !== true
  const startedAt = Date.now()
  const dial = dialler(options)
  const due = async (number: number): Promise<void> => {
    if (options.perSecond === undefined) return
    const waitMs = startedAt + (number * 1000) / options.perSecond - Date.now()
    if (waitMs > 0) await pause(waitMs)
  }
  const refused = (line: string): void => {
    refusals.set(line, (refusals.get(line) ?? 0) + 1)
    options.onRefused?.(line)
  }

  async function session(): Promise<void> {
    while (more()) {
      const client = await dial(refused)
      if (client === null) {
        await pause(RETRY_MS)
        continue
      }
      try {
        while (more()) {
          const number = next++
          await due(number)
          if (!(await deliver(client, number))) break
        }
      } finally {
        client.close()
      }
    }
  }

  /** One message until it is answered with 250, or its answer is lost. False when the session is of no more use. */
  async function deliver(client: SmtpClient, number: number): Promise<boolean> {
    const id = `${options.prefix ?? 'load'}-${number}`
    const recipient = options.recipients[number % options.recipients.length] as string
    for (let session: SmtpClient | null = client; ;) {
      const outcome = session === null ? 'again' : await session.send(id, recipient, body)
      if (typeof outcome === 'object') {
        options.onReply?.(id, outcome.reply)
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
      if (options.signal?.aborted) return false
      if (outcome !== 'again') refused(outcome)
      await pause(RETRY_MS)
      session = await dial(refused)
    }
  }

  try {
    await Promise.all(Array.from({ length: options.sessions }, session))
  } finally {
    await ledger?.close()
  }
  return { promised, unanswered, refusals, elapsedMs: Date.now() - startedAt }
}

/** @returns opens a session with the next of the ports */
function dialler({ host, port, login }: LoadOptions) {
  const ports = [port].flat()
  let turn = 0
  return (refused: (line: string) => void) =>
    SmtpClient.open({ host, port: ports[turn++ % ports.length] ?? 0, ...(login && { login }) }, refused)
}

interface Door extends Pick<LoadOptions, 'host' | 'login'> {
  port: number
}

class SmtpClient {
  readonly #socket: Socket
  readonly #sender: string
  readonly #lines: AsyncIterator<string>

  constructor(socket: Socket, sender: string) {
    this.#socket = socket
    this.#sender = sender
    this.#lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]()
  }

  /** Null when nobody answers, or not with a greeting, or the login is refused. */
  static async open({ host, port, login }: Door, refused: (line: string) => void): Promise<SmtpClient | null> {
    const socket = login ? connectTls({ host, port, ca: login.ca, servername: 'localhost' }) : connect(port, host)
    socket.on('error', () => {}) // Seen as the end of the lines.
    socket.setNoDelay(true)
    try {
      await once(socket, login ? 'secureConnect' : 'connect')
    } catch {
      return null
    }
    const client = new SmtpClient(socket, login?.user ?? LOAD_SENDER)
    const plain = login && Buffer.from(`\0${login.user}\0${login.password}`).toString('base64')
    const expected: [code: string, command: string | null][] = [
      ['220', null],
      ['250', 'EHLO load.test'],
    ]
    if (plain !== undefined) expected.push(['235', `AUTH PLAIN ${plain}`])
    for (const [code, command] of expected) {
      const reply = command === null ? await client.#reply() : await client.#ask(command)
      if (reply?.startsWith(code)) continue
      if (reply !== null) refused(reply)
      client.close()
      return null
    }
    return client
  }

  /** `{reply}` of the 250; 'unanswered' when the answer to the data is lost; else why it was refused, for another try. */
  async send(id: string, recipient: string, body: string): Promise<{ reply: string } | 'unanswered' | (string & {})> {
    this.#socket.write(`MAIL FROM:<${this.#sender}>\r\nRCPT TO:<${recipient}>\r\nDATA\r\n`)
    const [mail, rcpt, data] = [await this.#reply(), await this.#reply(), await this.#reply()]
    if (!data?.startsWith('354')) return [mail, rcpt, data].find((line) => !line?.startsWith('250')) ?? 'again'
    this.#socket.write(`${loadMessage({ id, sender: this.#sender, recipient }, body)}.\r\n`)
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
