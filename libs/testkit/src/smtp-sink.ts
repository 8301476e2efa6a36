/**
 * An SMTP server for tests that keeps what it takes, and misbehaves by the local part of the recipient:
 *
 *   tempfail…   451 at RCPT               permfail…   550 5.1.1 at RCPT
 *   greylist…   451 at the first RCPT of each address, then 250
 *   tempdata…   451 after the final dot   permdata…   554 5.6.0 after the final dot
 *   dropdata…   closes the connection after DATA was begun, without a reply
 *   dropdot…    takes the message, then closes the connection instead of answering
 *   slow…       answers RCPT after `slowMs`
 *   closing…    421 at RCPT, and closes
 *
 * Anything else is accepted. It is exact where a client could go wrong: replies in order, one per command; only CRLF.CRLF ends
 * the data; what was pipelined before STARTTLS is forgotten.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { TLSSocket, createSecureContext } from 'node:tls'

export interface SinkMessage {
  reversePath: string
  /** Parameters after the path, as sent. */
  mailParameters: string
  recipients: { forwardPath: string; parameters: string }[]
  /** Dot-stuffing undone. */
  data: Buffer
  /** Which connection it came over; two with the same number shared it. */
  session: number
  secure: boolean
  /** Who had logged in. */
  user: string | null
  /** Where it was connected to from. */
  clientAddress: string
  /** What the client called itself. */
  helo: string
}

export interface SinkOptions {
  /** Default 0: any free port. */
  port?: number
  host?: string
  /** What EHLO names besides the domain. Default: PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES. */
  extensions?: readonly string[]
  /** First word of the greeting and of the EHLO reply. */
  name?: string
  /** Replaces the whole greeting line, e.g. `554 go away`. */
  greeting?: string
  /** PEM; STARTTLS is offered with it. */
  tls?: { key: string; cert: string }
  /** STARTTLS is answered like this instead of 220. */
  starttlsReply?: string
  slowMs?: number
  /** 452 for every recipient of a transaction after this many. */
  maxRecipients?: number
  /** Encrypted from the first octet, with `tls`. */
  implicitTls?: boolean
  /** AUTH PLAIN and LOGIN are offered, and MAIL is refused without them. */
  auth?: { user: string; password: string }
  /** Speaks LMTP: LHLO, and after the final dot one reply per recipient; tempdata… and permdata… are refused alone. */
  lmtp?: boolean
}

export interface SmtpSink {
  readonly port: number
  readonly messages: readonly SinkMessage[]
  /** Every command line received, for counting attempts. */
  readonly commands: readonly string[]
  readonly sessions: number
  /** Resolves when so many messages have been accepted in all. */
  received(count: number): Promise<readonly SinkMessage[]>
  /** Stops listening and cuts every connection. */
  close(): Promise<void>
  /** Listens again on the same port. */
  reopen(): Promise<void>
}

const EXTENSIONS = ['PIPELINING', 'SIZE 52428800', '8BITMIME', 'SMTPUTF8', 'DSN', 'ENHANCEDSTATUSCODES']
const MAX_LINE = 16_384
const END_OF_DATA = Buffer.from('\r\n.\r\n')

export async function startSmtpSink(t: TestContext, options: SinkOptions = {}): Promise<SmtpSink> {
  const state: SinkState = { messages: [], commands: [], greylisted: new Set(), sessions: 0, waiting: new Set() }
  const sockets = new Set<Socket>()
  const host = options.host ?? '127.0.0.1'
  let server: Server | undefined
  let port = options.port ?? 0

  async function open(): Promise<void> {
    const listening = createServer((socket) => {
      sockets.add(socket)
      // Replies are small and many; waiting for acknowledgements between them would measure the kernel's timers.
      socket.setNoDelay(true)
      socket.on('close', () => sockets.delete(socket))
      const session = new SinkSession(socket, options, state, ++state.sessions)
      if (options.implicitTls) session.encrypt()
      session.begin()
    })
    listening.listen(port, host)
    await once(listening, 'listening')
    const address = listening.address()
    if (address !== null && typeof address === 'object') port = address.port
    server = listening
  }

  async function close(): Promise<void> {
    const closing = server
    server = undefined
    if (!closing) return
    const closed = once(closing, 'close')
    closing.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }

  await open()
  t.after(close)
  return {
    get port() {
      return port
    },
    messages: state.messages,
    commands: state.commands,
    get sessions() {
      return state.sessions
    },
    received(count) {
      if (state.messages.length >= count) return Promise.resolve(state.messages)
      return new Promise((resolve) => state.waiting.add({ count, resolve: () => resolve(state.messages) }))
    },
    close,
    reopen: open,
  }
}

interface SinkState {
  messages: SinkMessage[]
  commands: string[]
  greylisted: Set<string>
  sessions: number
  waiting: Set<{ count: number; resolve(): void }>
}

type Transaction = Pick<SinkMessage, 'reversePath' | 'mailParameters' | 'recipients'>

class SinkSession {
  #socket: Socket
  readonly #options: SinkOptions
  readonly #state: SinkState
  readonly #number: number
  #buffer = Buffer.alloc(0)
  #transaction: Transaction | null = null
  #inData = false
  #secure = false
  #busy = false
  #helo = ''
  #user: string | null = null
  /** Takes the next line instead of a command: the steps of AUTH. */
  #answer: ((line: string) => void) | null = null

  constructor(socket: Socket, options: SinkOptions, state: SinkState, number: number) {
    this.#socket = socket
    this.#options = options
    this.#state = state
    this.#number = number
  }

  begin(): void {
    this.#listen()
    this.#reply(this.#options.greeting ?? `220 ${this.#name} Service Ready`)
  }

  get #name(): string {
    return this.#options.name ?? 'sink.test'
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk])
      void this.#work()
    })
  }

  #reply(line: string): void {
    if (!this.#socket.destroyed) this.#socket.write(`${line}\r\n`)
  }

  /** Takes commands off the buffer one by one, whatever the client pipelined. */
  async #work(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    try {
      while (!this.#socket.destroyed && (this.#inData ? this.#takeData() : await this.#takeLine()));
    } finally {
      this.#busy = false
    }
  }

  async #takeLine(): Promise<boolean> {
    const end = this.#buffer.indexOf('\r\n')
    if (end < 0) {
      if (this.#buffer.length > MAX_LINE) this.#socket.destroy()
      return false
    }
    const line = this.#buffer.subarray(0, end).toString()
    this.#buffer = this.#buffer.subarray(end + 2)
    this.#state.commands.push(line)
    const answer = this.#answer
    this.#answer = null
    if (answer) answer(line)
    else await this.#obey(line)
    return true
  }

  async #obey(line: string): Promise<void> {
    const verb = line.split(' ', 1)[0]?.toUpperCase()
    const hello = this.#options.lmtp ? 'LHLO' : 'EHLO'
    switch (verb) {
      case hello:
        return this.#ehlo(line)
      case 'AUTH':
        return this.#authenticate(line)
      case 'HELO':
        return this.#reply(`250 ${this.#name}`)
      case 'STARTTLS':
        return this.#startTls()
      case 'MAIL': {
        if (this.#options.auth && this.#user === null) return this.#reply('530 5.7.0 log in first')
        const { path, parameters } = pathIn(line)
        this.#transaction = { reversePath: path, mailParameters: parameters, recipients: [] }
        return this.#reply('250 2.1.0 ok')
      }
      case 'RCPT':
        return this.#recipient(line)
      case 'DATA':
        if (!this.#transaction || this.#transaction.recipients.length === 0)
          return this.#reply('503 5.5.1 no recipients')
        this.#inData = true
        return this.#reply('354 go ahead')
      case 'RSET':
        this.#transaction = null
        return this.#reply('250 2.0.0 ok')
      case 'NOOP':
        return this.#reply('250 2.0.0 ok')
      case 'QUIT':
        this.#reply('221 2.0.0 bye')
        this.#socket.end()
        return
      default:
        return this.#reply('500 5.5.2 what?')
    }
  }

  #ehlo(line: string): void {
    this.#helo = line.slice('EHLO '.length)
    const { extensions = EXTENSIONS, tls, starttlsReply, auth } = this.#options
    const offered = (tls || starttlsReply) && !this.#secure ? [...extensions, 'STARTTLS'] : extensions
    const lines = [`${this.#name} greets you`, ...offered, ...(auth ? ['AUTH PLAIN LOGIN'] : [])]
    this.#reply(lines.map((text, index) => `250${index === lines.length - 1 ? ' ' : '-'}${text}`).join('\r\n'))
  }

  #startTls(): void {
    const { tls, starttlsReply } = this.#options
    if (starttlsReply !== undefined || !tls) return this.#reply(starttlsReply ?? '502 5.5.1 not here')
    this.#reply('220 2.0.0 go ahead')
    this.#buffer = Buffer.alloc(0) // RFC 3207 §4.2: nothing said before counts
    this.#socket.removeAllListeners('data')
    this.encrypt()
    this.#transaction = null
    this.#listen()
  }

  encrypt(): void {
    const { tls } = this.#options
    this.#socket = new TLSSocket(this.#socket, {
      isServer: true,
      ...(tls && { secureContext: createSecureContext(tls) }),
    })
    this.#secure = true
  }

  #authenticate(line: string): void {
    const [, mechanism, initial] = line.split(' ')
    const finish = (user: string | undefined, password: string | undefined): void => {
      const { auth } = this.#options
      if (!auth || user !== auth.user || password !== auth.password) return this.#reply('535 5.7.8 wrong')
      this.#user = user
      this.#reply('235 2.7.0 welcome')
    }
    const decoded = (text: string): string => Buffer.from(text, 'base64').toString()
    if (mechanism === 'PLAIN' && initial) {
      const [, user, password] = decoded(initial).split('\0')
      return finish(user, password)
    }
    if (mechanism !== 'LOGIN') return this.#reply('504 5.5.4 not that')
    this.#reply(`334 ${Buffer.from('Username:').toString('base64')}`)
    this.#answer = (user) => {
      this.#reply(`334 ${Buffer.from('Password:').toString('base64')}`)
      this.#answer = (password) => finish(decoded(user), decoded(password))
    }
  }

  async #recipient(line: string): Promise<void> {
    const transaction = this.#transaction
    if (!transaction) return this.#reply('503 5.5.1 MAIL first')
    const { path, parameters } = pathIn(line)
    const { maxRecipients = Infinity, slowMs = 0 } = this.#options
    if (path.startsWith('tempfail')) return this.#reply('451 4.2.0 not now')
    if (path.startsWith('permfail')) return this.#reply('550 5.1.1 nobody of that name')
    if (path.startsWith('closing')) {
      this.#reply('421 4.3.2 closing')
      this.#socket.end()
      return
    }
    if (path.startsWith('greylist') && !this.#state.greylisted.has(path)) {
      this.#state.greylisted.add(path)
      return this.#reply('451 4.7.1 greylisted')
    }
    if (path.startsWith('slow')) await new Promise((resolve) => setTimeout(resolve, slowMs))
    if (transaction.recipients.length >= maxRecipients) return this.#reply('452 4.5.3 too many recipients')
    transaction.recipients.push({ forwardPath: path, parameters })
    this.#reply('250 2.1.5 ok')
  }

  #takeData(): boolean {
    const transaction = this.#transaction
    if (!transaction) return false
    const wants = (prefix: string) => transaction.recipients.some(({ forwardPath }) => forwardPath.startsWith(prefix))
    if (wants('dropdata')) {
      this.#socket.destroy()
      return false
    }
    const empty = this.#buffer.subarray(0, 3).toString() === '.\r\n'
    const end = empty ? 0 : this.#buffer.indexOf(END_OF_DATA)
    if (end < 0) return false
    const data = empty ? Buffer.alloc(0) : this.#buffer.subarray(0, end + 2)
    this.#buffer = Buffer.from(this.#buffer.subarray(empty ? 3 : end + END_OF_DATA.length))
    this.#inData = false
    this.#transaction = null
    if (this.#options.lmtp) this.#answerEach(transaction, unstuffed(data))
    else if (wants('tempdata')) this.#reply('451 4.3.0 later')
    else if (wants('permdata')) this.#reply('554 5.6.0 not like this')
    else this.#keep({ ...transaction, ...this.#facts(), data: unstuffed(data) }, wants('dropdot'))
    return true
  }

  #facts(): Pick<SinkMessage, 'session' | 'secure' | 'user' | 'clientAddress' | 'helo'> {
    const common = { session: this.#number, secure: this.#secure, user: this.#user, helo: this.#helo }
    return { ...common, clientAddress: this.#socket.remoteAddress ?? '' }
  }

  /** RFC 2033 §4.2: one reply for each accepted recipient, in their order. */
  #answerEach(transaction: Transaction, data: Buffer): void {
    const taken = transaction.recipients.filter(({ forwardPath }) => !/^(?:temp|perm)data/.test(forwardPath))
    if (taken.length > 0) this.#note({ ...transaction, ...this.#facts(), recipients: taken, data })
    for (const { forwardPath } of transaction.recipients) {
      if (forwardPath.startsWith('dropdot')) return void this.#socket.destroySoon()
      if (forwardPath.startsWith('tempdata')) this.#reply('452 4.2.2 mailbox full')
      else if (forwardPath.startsWith('permdata')) this.#reply('550 5.2.1 mailbox disabled')
      else this.#reply(`250 2.1.5 <${forwardPath}> delivered`)
    }
  }

  #keep(message: SinkMessage, drop: boolean): void {
    if (drop) this.#socket.destroy()
    else this.#reply(`250 2.0.0 kept as ${this.#state.messages.length + 1}`)
    this.#note(message)
  }

  #note(message: SinkMessage): void {
    const { messages, waiting } = this.#state
    messages.push(message)
    for (const waiter of waiting) {
      if (messages.length < waiter.count) continue
      waiting.delete(waiter)
      waiter.resolve()
    }
  }
}

function pathIn(line: string): { path: string; parameters: string } {
  const open = line.indexOf('<')
  const close = line.lastIndexOf('>')
  return { path: line.slice(open + 1, close), parameters: line.slice(close + 1).trim() }
}

/** RFC 5321 §4.5.2: a leading dot is doubled on the way. Octets are kept as they are. */
function unstuffed(data: Buffer): Buffer {
  return Buffer.from(data.toString('latin1').replace(/(^|\r\n)\.\./g, '$1.'), 'latin1')
}
