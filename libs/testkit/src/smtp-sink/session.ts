/** One connection of the sink: commands off the buffer one by one, whatever the client pipelined, and a reply to each. */
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createSecureContext, TLSSocket } from 'node:tls'

import { type Action, type Behaviour, behaviourOf, type Step } from './behaviours.ts'
import { DataReader } from './data-reader.ts'
import type { SinkMessage, SinkOptions, SinkSessionFacts } from './options.ts'

const EXTENSIONS = ['PIPELINING', 'SIZE 52428800', '8BITMIME', 'SMTPUTF8', 'DSN', 'ENHANCEDSTATUSCODES']
const MAX_LINE = 16_384

/** What the sessions of one sink share. */
export interface SinkBooks {
  command(line: string, verb: string): void
  /** @returns how many there are now. */
  message(message: SinkMessage): number
  /** Whether this is the first time for this. */
  first(what: string): boolean
}

type Transaction = Pick<SinkMessage, 'reversePath' | 'mailParameters' | 'recipients'>

export class SinkSession {
  #socket: Socket
  readonly #options: SinkOptions
  readonly #books: SinkBooks
  readonly #facts: SinkSessionFacts
  readonly #gone = new AbortController()
  #buffer: Buffer = Buffer.alloc(0)
  #transaction: Transaction | null = null
  #data: DataReader | null = null
  #busy = false
  /** Takes the next line instead of a command: the steps of AUTH. */
  #answers: ((line: string) => Promise<void>) | null = null

  constructor(socket: Socket, options: SinkOptions, books: SinkBooks, facts: SinkSessionFacts) {
    this.#socket = socket
    this.#options = options
    this.#books = books
    this.#facts = facts
    socket.once('close', () => this.#gone.abort())
    socket.on('error', () => socket.destroy())
  }

  async begin(): Promise<void> {
    const { greeting = `220 ${this.#name} Service Ready`, greetingDelayMs = 0, implicitTls, tls } = this.#options
    if (implicitTls && tls) this.#encrypt(tls)
    this.#listen()
    if (this.#drops('connect')) return this.#drop()
    if (greeting === null) return
    await this.#wait(greetingDelayMs)
    await this.#reply(greeting)
    if (/^[45]/.test(greeting)) this.#socket.end()
  }

  get #name(): string {
    return this.#options.name ?? 'sink.test'
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
      void this.#work()
    })
  }

  async #work(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    try {
      while (!this.#socket.destroyed && (this.#data ? await this.#takeData(this.#data) : await this.#takeLine()));
    } finally {
      this.#busy = false
    }
  }

  async #takeLine(): Promise<boolean> {
    const end = this.#buffer.indexOf('\r\n')
    if (end < 0) {
      if (this.#buffer.length > MAX_LINE) this.#drop()
      return false
    }
    const line = this.#buffer.subarray(0, end).toString()
    this.#buffer = this.#buffer.subarray(end + 2)
    const verb = line.split(' ', 1)[0]?.toUpperCase() ?? ''
    this.#facts.commands++
    this.#books.command(line, verb)
    await this.#wait(this.#options.delayMs ?? 0)
    const answers = this.#answers
    this.#answers = null
    if (answers) await answers(line)
    else if (this.#drops(verb)) this.#drop()
    else await this.#obey(verb, line)
    return true
  }

  async #obey(verb: string, line: string): Promise<void> {
    switch (verb) {
      case this.#options.lmtp ? 'LHLO' : 'EHLO':
        return this.#hello(line)
      case 'AUTH':
        return this.#authenticate(line)
      case 'HELO':
        this.#facts.helo = line.slice('HELO '.length)
        return this.#reply(`250 ${this.#name}`)
      case 'STARTTLS':
        return this.#startTls()
      case 'MAIL':
        return this.#mail(line)
      case 'RCPT':
        return this.#recipient(line)
      case 'DATA':
        return this.#beginData()
      case 'RSET':
        this.#transaction = null
        return this.#reply('250 2.0.0 ok')
      case 'NOOP':
        return this.#reply('250 2.0.0 ok')
      case 'QUIT':
        await this.#reply('221 2.0.0 bye')
        this.#socket.end()
        return
      default:
        return this.#reply('500 5.5.2 what?')
    }
  }

  #hello(line: string): Promise<void> {
    const { extensions = EXTENSIONS, heloOnly, tls, starttlsReply, tlsBroken, auth } = this.#options
    this.#facts.helo = line.slice('EHLO '.length)
    if (heloOnly) return this.#reply('502 5.5.1 not here')
    const offersTls = (tls || starttlsReply || tlsBroken) && !this.#facts.secure
    const more = [...(offersTls ? ['STARTTLS'] : []), ...(auth ? ['AUTH PLAIN LOGIN'] : [])]
    const lines = [`${this.#name} greets you`, ...extensions, ...more]
    return this.#reply(lines.map((text, index) => `250${index === lines.length - 1 ? ' ' : '-'}${text}`).join('\n'))
  }

  async #startTls(): Promise<void> {
    const { tls, starttlsReply, tlsBroken } = this.#options
    if (starttlsReply !== undefined || (!tls && !tlsBroken)) return this.#reply(starttlsReply ?? '502 5.5.1 not here')
    await this.#reply('220 2.0.0 go ahead')
    this.#buffer = Buffer.alloc(0) // RFC 3207 §4.2: nothing said before counts
    if (tlsBroken === 'garbage') return this.#reply('this is no handshake')
    if (!tls) return this.#drop()
    this.#socket.removeAllListeners('data')
    this.#encrypt(tls)
    this.#transaction = null
    this.#listen()
  }

  #encrypt(tls: { key: string; cert: string }): void {
    this.#socket = new TLSSocket(this.#socket, { isServer: true, secureContext: createSecureContext(tls) })
    this.#facts.secure = true
  }

  async #authenticate(line: string): Promise<void> {
    const [, mechanism, initial] = line.split(' ')
    const decoded = (text: string): string => Buffer.from(text, 'base64').toString()
    const ask = (word: string): Promise<void> => this.#reply(`334 ${Buffer.from(word).toString('base64')}`)
    const finish = (user: string | undefined, password: string | undefined): Promise<void> => {
      const { auth } = this.#options
      if (!auth || user !== auth.user || password !== auth.password) return this.#reply('535 5.7.8 wrong')
      this.#facts.user = user
      return this.#reply('235 2.7.0 welcome')
    }
    if (mechanism === 'PLAIN' && initial) {
      const [, user, password] = decoded(initial).split('\0')
      return finish(user, password)
    }
    if (mechanism !== 'LOGIN') return this.#reply('504 5.5.4 not that')
    this.#answers = async (user) => {
      this.#answers = (password) => finish(decoded(user), decoded(password))
      await ask('Password:')
    }
    return ask('Username:')
  }

  async #mail(line: string): Promise<void> {
    const { path, parameters } = pathIn(line)
    const { maxSize = Infinity, auth } = this.#options
    if (auth && this.#facts.user === null) return this.#reply('530 5.7.0 log in first')
    if (Number(/\bSIZE=(\d+)/i.exec(parameters)?.[1] ?? 0) > maxSize) return this.#reply('552 5.3.4 too large')
    await this.#answer(behaviourOf('MAIL', path), path, () => {
      this.#transaction = { reversePath: path, mailParameters: parameters, recipients: [] }
      return '250 2.1.0 ok'
    })
  }

  async #recipient(line: string): Promise<void> {
    const transaction = this.#transaction
    if (!transaction) return this.#reply('503 5.5.1 MAIL first')
    const { path, parameters } = pathIn(line)
    const { maxRecipients = Infinity } = this.#options
    if (transaction.recipients.length >= maxRecipients) return this.#reply('452 4.5.3 too many recipients')
    await this.#answer(behaviourOf('RCPT', path), path, () => {
      transaction.recipients.push({ forwardPath: path, parameters })
      return '250 2.1.5 ok'
    })
  }

  async #beginData(): Promise<void> {
    const transaction = this.#transaction
    if (!transaction || transaction.recipients.length === 0) return this.#reply('503 5.5.1 no recipients')
    await this.#answer(this.#wanted('DATA'), transaction.reversePath, () => {
      this.#data = new DataReader(this.#options.keep !== 'digests')
      return '354 go ahead'
    })
    if (this.#data && this.#wanted('data')) this.#drop()
  }

  async #takeData(data: DataReader): Promise<boolean> {
    const transaction = this.#transaction
    if (!transaction || this.#buffer.length === 0) return false
    const middle = this.#wanted('middle')
    if (middle) {
      await this.#act(middle.action, () => '')
      return false
    }
    const rest = data.read(this.#buffer)
    this.#buffer = rest ?? Buffer.alloc(0)
    if (rest === null) return false
    this.#data = null
    const { maxSize = Infinity } = this.#options
    if (this.#options.lmtp) await this.#answerEach(transaction, data)
    else if (data.result.bytes > maxSize) await this.#reply('552 5.3.4 too large')
    else {
      const about = transaction.recipients[0]?.forwardPath ?? ''
      await this.#answer(this.#wanted('dot'), about, () => `250 2.0.0 kept as ${this.#keep(transaction, data)}`)
    }
    this.#transaction = null
    return true
  }

  /** RFC 2033 §4.2: one reply for each accepted recipient, in their order. */
  async #answerEach(transaction: Transaction, data: DataReader): Promise<void> {
    const recipients = transaction.recipients.filter(({ forwardPath }) => !/^(?:temp|perm)data/.test(forwardPath))
    if (recipients.length > 0) this.#keep({ ...transaction, recipients }, data)
    for (const { forwardPath } of transaction.recipients) {
      if (forwardPath.startsWith('dropdot')) return void this.#socket.destroySoon()
      if (forwardPath.startsWith('tempdata')) await this.#reply('452 4.2.2 mailbox full')
      else if (forwardPath.startsWith('permdata')) await this.#reply('550 5.2.1 mailbox disabled')
      else await this.#reply(`250 2.1.5 <${forwardPath}> delivered`)
    }
  }

  /** @returns how many there are now */
  #keep(transaction: Transaction, data: DataReader): number {
    this.#facts.messages++
    const { commands: _commands, messages: _messages, ...facts } = this.#facts
    return this.#books.message({ ...transaction, ...data.result, ...facts })
  }

  /** The behaviour some recipient of the transaction asks for. */
  #wanted(step: Step): Behaviour | undefined {
    for (const { forwardPath } of this.#transaction?.recipients ?? []) {
      const behaviour = behaviourOf(step, forwardPath)
      if (behaviour) return behaviour
    }
    return undefined
  }

  /** @param take does what a good reply promises, and words it */
  async #answer(behaviour: Behaviour | undefined, about: string, take: () => string): Promise<void> {
    if (!behaviour || (behaviour.once && !this.#books.first(`${behaviour.prefix} ${about}`))) return this.#reply(take())
    return this.#act(behaviour.action, take)
  }

  async #act(action: Action, take: () => string): Promise<void> {
    if ('kept' in action) take()
    switch (action.kind) {
      case 'reply':
        if (action.text.startsWith('2')) take()
        await this.#reply(action.text)
        if (action.text.startsWith('421')) this.#socket.end()
        return
      case 'drop':
        return this.#drop()
      case 'half':
        this.#socket.end(action.text)
        return
      case 'silence':
        return new Promise((resolve) => this.#gone.signal.addEventListener('abort', () => resolve()))
      case 'flood':
        return this.#flood()
      case 'slow':
        await (this.#options.slowUntil ?? this.#wait(this.#options.slowMs ?? 0))
        return this.#reply(take())
      case 'bytewise':
        return this.#replyBytewise(take())
    }
  }

  async #flood(): Promise<void> {
    const lines = '250-and another thing\r\n'.repeat(1000)
    while (!this.#socket.destroyed) {
      if (this.#socket.write(lines)) continue
      await new Promise<void>((resolve) => {
        this.#socket.once('drain', resolve)
        this.#gone.signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  async #reply(text: string): Promise<void> {
    if (!this.#socket.destroyed) this.#socket.write(onWire(text))
  }

  async #replyBytewise(text: string): Promise<void> {
    for (const byte of onWire(text)) {
      if (this.#socket.destroyed) return
      this.#socket.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #drops(verb: string): boolean {
    return this.#options.dropAt === verb
  }

  #drop(): void {
    this.#socket.destroy()
  }

  /** Ends early when the client goes. */
  async #wait(ms: number): Promise<void> {
    if (ms > 0) await pause(ms, undefined, { signal: this.#gone.signal }).catch(() => {})
  }
}

const onWire = (text: string): Buffer => Buffer.from(`${text.replaceAll('\n', '\r\n')}\r\n`)

function pathIn(line: string): { path: string; parameters: string } {
  const open = line.indexOf('<')
  const close = line.lastIndexOf('>')
  return { path: line.slice(open + 1, close), parameters: line.slice(close + 1).trim() }
}
