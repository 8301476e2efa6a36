/**
 * One client's connection: reads commands, runs them one after the other, answers each.
 *
 * Rules kept here for every command: a command is answered exactly once, in the order it came; the selected mailbox's
 * changes are told only before a tagged answer that allows it; nothing but the end of the session closes the connection,
 * and then BYE is said if anybody may still hear it.
 *
 * STANDARDS  RFC 9051 §2.2, §3, §5.2–5.5, §7.1
 */
import type { Duplex } from 'node:stream'

import type { Granted } from '@postbus/directory-client'
import {
  Arguments,
  ImapLimitError,
  ImapNameError,
  ImapSyntaxError,
  responseText,
  type Read,
  type ReceivedCommand,
} from '@postbus/imap-wire'
import { offeredMechanisms, type Offer } from '@postbus/sasl'
import { SpanKind, tracedRoot } from '@postbus/tracing'

import { AppendBatch } from './append-batch.ts'
import { capabilityList, type CapabilityFacts } from './capabilities.ts'
import type { Command, Completed } from './command.ts'
import { append, parseAppend, stagedMessages } from './commands/append.ts'
import { commands } from './commands/index.ts'
import { CompressedStream } from './compressed-stream.ts'
import type { CommandResult, ConnectionContext, ConnectionLimits, Peer } from './connection-context.ts'
import { farewell, isFault, type Bye } from './farewell.ts'
import { Input, Interrupted } from './input.ts'
import { Output } from './output.ts'
import { Pace } from './pace.ts'
import { bad, ConnectionLost, ImapError, no, SessionEnded } from './reply.ts'
import { Account } from './session/account.ts'
import { Enabled } from './session/enabled.ts'
import { ReadAhead } from './session/read-ahead.ts'
import type { SelectedMailbox } from './session/selected-mailbox.ts'
import type { Session, SessionPorts, State } from './session/session.ts'
import { Staging } from './session/staging.ts'
import { tellUpdates } from './session/updates.ts'

export class Connection implements Session {
  readonly id: string
  readonly clientAddress: string
  readonly ports: SessionPorts
  readonly limits: ConnectionLimits
  readonly out: Output
  readonly input: Input
  readonly staging: Staging
  readonly readAhead: ReadAhead
  readonly enabled = new Enabled()
  readonly offer: Offer
  state: State = { kind: 'notAuthenticated' }
  tag = ''
  failedLogins = 0
  hints = 0
  clientId: Record<string, string> | undefined
  readonly #context: ConnectionContext
  readonly #peer: Peer
  readonly #pace: Pace
  readonly #startedAt = performance.now()
  readonly #appends = new AppendBatch()
  #stream: Duplex
  #tls: boolean
  #compressed = false
  #commands = 0
  #badInARow = 0
  #stopping: Bye | undefined
  #account: string | undefined
  #release: () => void = () => undefined
  /** RFC 9051 §5.4 is about silence; before login also a client that never stops beginning has so long. */
  readonly #mustLogIn: NodeJS.Timeout

  constructor(peer: Peer, context: ConnectionContext) {
    this.id = peer.id
    this.#peer = peer
    this.#stream = peer.stream
    this.#tls = peer.tls
    this.#context = context
    this.clientAddress = peer.clientAddress
    this.ports = context.ports
    this.staging = new Staging(context.ports.blobs)
    this.readAhead = new ReadAhead(context.ports.readAhead, context.limits.maxReadAheadBytes)
    this.limits = context.limits
    this.offer = { channel: peer, bearer: context.bearerLogin }
    this.out = new Output(peer.stream, context.limits)
    this.input = new Input(peer.stream, context.limits)
    this.input.beforeWaiting = () => this.#answerAppends()
    this.#pace = new Pace(context.limits.maxCommandsPerSecond)
    this.#mustLogIn = setTimeout(() => this.#tooLate(), context.limits.loginMs)
    // Seen as the end of the input; without a listener it would end the process.
    peer.stream.on('error', () => undefined)
  }

  /** Resolves when the session is over; the connection is to be closed then. Never throws. */
  async serve(): Promise<void> {
    let reason = 'logout'
    try {
      this.out.line(`* OK [${capabilityList(this.capabilities())}] Postbus ready`)
      while (this.state.kind !== 'logout') await this.#turn()
    } catch (cause) {
      reason = this.#farewell(cause)
    }
    try {
      await this.staging.discard()
      await this.out.drain()
    } catch {
      // Nobody listens any more.
    }
    clearTimeout(this.#mustLogIn)
    this.readAhead.drop()
    this.#release()
    // What the client still sends is nobody's; closing is the listener's.
    this.input.detach()
    this.#logEnd(reason)
  }

  /** Ends the session with BYE: at once between two commands or in IDLE, else after the command in hand. */
  stop(code: string | null, text: string): void {
    this.#stopping ??= { code, text }
    this.input.interrupt()
  }

  capabilities(): CapabilityFacts {
    return {
      authenticated: this.state.kind !== 'notAuthenticated',
      appendLimit: this.limits.maxAppendBytes,
      mayLogIn: this.#tls || this.#context.plaintextLogin,
      mayStartTls: !this.#tls && this.#peer.startTls !== undefined && this.state.kind === 'notAuthenticated',
      mechanisms: offeredMechanisms(this.offer),
      compressed: this.#compressed,
    }
  }

  challenge(text: string): Promise<string | null> {
    this.out.line(`+ ${text}`)
    return this.input.line(this.limits.stallMs)
  }

  logIn(granted: Granted): void {
    const release = this.ports.admit(granted.account)
    if (!release) throw no('LIMIT', 'Too many sessions of this account')
    const account = new Account(granted, {
      bus: this.ports.bus,
      gone: this.input.gone,
      onRefused: () => this.stop('EXPIRED', 'The session is no longer valid, log in again'),
    })
    const unwatch = this.ports.watch.watch(account.id, {
      hint: (mailbox, highestModseq, uidNext) => {
        this.hints++
        const { state } = this
        if (state.kind === 'selected' && state.selected.mailbox === mailbox) state.selected.hint(highestModseq, uidNext)
      },
      mayHaveChanged: () => {
        this.hints++
        if (this.state.kind === 'selected') this.state.selected.mayHaveChanged()
      },
    })
    this.#release = () => {
      unwatch()
      account.close()
      release()
    }
    clearTimeout(this.#mustLogIn)
    this.#account = account.id
    this.state = { kind: 'authenticated', account }
  }

  select(account: Account, selected: SelectedMailbox): void {
    this.state = { kind: 'selected', account, selected }
  }

  unselect(): void {
    this.readAhead.drop()
    if (this.state.kind === 'selected') this.state = { kind: 'authenticated', account: this.state.account }
  }

  #tooLate(): void {
    this.#stopping ??= { code: null, text: 'Autologout, log in sooner' }
    this.input.cut()
  }

  async #turn(): Promise<void> {
    if (this.#stopping && !this.input.midCommand) {
      await this.#answerAppends()
      throw new Interrupted('the session is to end')
    }
    const { autologoutMs, loginMs, stallMs, maxBadCommands, maxFailedLogins, maxCommandsBeforeLogin } = this.limits
    const anonymous = this.state.kind === 'notAuthenticated'
    const read = await this.input.next(anonymous ? loginMs : autologoutMs, stallMs)
    await this.#pace.turn(this.input.gone)
    this.#commands++
    await this.#answer(read)
    if (this.#badInARow > maxBadCommands) throw new SessionEnded(null, 'Too many bad commands')
    if (this.failedLogins >= maxFailedLogins) throw new SessionEnded(null, 'Too many failed logins')
    if (anonymous && this.#commands > maxCommandsBeforeLogin) throw new SessionEnded(null, 'Log in sooner')
    if (this.out.full) await this.out.room()
  }

  async #answer(read: Read): Promise<void> {
    if (read.kind === 'command' && (await this.#putOff(read.command))) return
    // Answers come in the order of the commands; only the literal of another APPEND needs none.
    if (read.kind !== 'literal' || read.literal.synchronising) await this.#answerAppends()
    switch (read.kind) {
      case 'command':
        return this.#traced(read.command, () => this.#run(read.command))
      case 'literal':
        return this.#literal(read)
      case 'bad':
        this.#badInARow++
        this.#context.onCommand(null, 'bad', 0)
        return this.out.line(`${read.tag ?? '*'} BAD ${responseText(read.text)}`)
      case 'fatal':
        throw new SessionEnded('TOOBIG', read.text)
      case 'data':
      case 'literalEnd':
        throw new Error('octets of a literal that nobody reads')
    }
  }

  /** An APPEND of one small message waits for what else the client has sent behind it. @returns whether it does */
  async #putOff(received: ReceivedCommand): Promise<boolean> {
    const { staging, state } = this
    if (received.name !== append.name || state.kind === 'notAuthenticated') return false
    if (staging.count !== 1 || !staging.held) return false
    const startedAt = performance.now()
    const args = this.#argumentsOf(received)
    let parsed: ReturnType<typeof parseAppend>
    try {
      parsed = parseAppend(args)
      args.end()
    } catch {
      return false // Answered by running it.
    }
    const [message] = stagedMessages(this, parsed.messages)
    if (message === undefined) return false
    if (!this.#appends.fits(parsed.name, message)) await this.#answerAppends()
    this.#appends.add(parsed.name, { received, startedAt, message })
    staging.handedOver()
    return true
  }

  async #answerAppends(): Promise<boolean> {
    const { state } = this
    if (this.#appends.empty || !('account' in state)) return false
    const outcomes = await this.#appends.append(state.account)
    await this.#tellUpdates(append)
    for (const [{ received, startedAt }, outcome] of outcomes) {
      let result: CommandResult = 'ok'
      if (outcome.kind === 'done') this.out.line(this.#completed(received.tag, outcome.completed))
      else result = this.#fault(received.tag, outcome.cause)
      this.#counted(received, result, (performance.now() - startedAt) / 1000)
    }
    return true
  }

  #traced(received: ReceivedCommand, work: () => Promise<void>): Promise<void> {
    const { tracer = null } = this.#context
    if (tracer === null) return work()
    const attributes = {
      'network.protocol.name': 'imap',
      'client.address': this.clientAddress,
      'postbus.session_id': this.id,
    }
    const name = commands.has(received.name) ? received.name : 'unknown'
    return tracedRoot(tracer, `IMAP ${name}`, { kind: SpanKind.SERVER, attributes }, work)
  }

  async #run(received: ReceivedCommand): Promise<void> {
    const { tag } = received
    this.tag = tag
    const started = performance.now()
    let result: CommandResult = 'ok'
    let command: Command | undefined
    try {
      command = find(received)
      command.check(this)
      const completed = await command.parse(this.#argumentsOf(received))(this)
      this.staging.handedOver()
      await this.#tellUpdates(command)
      const answer = this.#completed(tag, completed)
      if (completed.startTls) await this.#startTls(answer)
      else if (completed.compress) await this.#compress(answer)
      else this.out.line(answer)
    } catch (cause) {
      // What is gone is told to be, or its client would ask for it again and again — RFC 2180 §4.4.1.
      if (cause instanceof ImapError && cause.code === 'EXPUNGEISSUED' && command?.updates === 'look')
        await this.#tellUpdates(command)
      result = this.#fault(tag, cause)
      await this.staging.discard()
    } finally {
      this.#counted(received, result, (performance.now() - started) / 1000)
    }
  }

  /** Only after updates: what it says may depend on what has just been told. */
  #completed(tag: string, { code, text }: Completed): string {
    this.#badInARow = 0
    const coded = typeof code === 'function' ? code() : code
    return `${tag} OK ${coded === undefined ? '' : `[${coded}] `}${text}`
  }

  /** The session goes on inside TLS with nothing kept from before it — RFC 9051 §11.1. */
  async #startTls(answer: string): Promise<void> {
    if (!this.#peer.startTls) throw bad('TLS is not to be had here')
    await this.out.drain()
    this.input.detach()
    try {
      this.#continueOn(await this.#peer.startTls(`${answer}\r\n`))
      this.#tls = true
    } catch (cause) {
      throw new ConnectionLost('the TLS handshake failed', { cause })
    }
  }

  /** RFC 4978 §3: after this answer both sides compress; what came behind the command is compressed already. */
  async #compress(answer: string): Promise<void> {
    this.out.line(answer)
    await this.out.drain()
    this.#continueOn(new CompressedStream(this.#stream, this.input.detach()))
    this.#compressed = true
  }

  #continueOn(stream: Duplex): void {
    // Seen as the end of the input; without a listener it would end the process.
    stream.on('error', () => undefined)
    this.#stream = stream
    this.out.replace(stream)
    this.input.replace(stream)
  }

  async #tellUpdates({ updates }: Command): Promise<void> {
    if (this.state.kind !== 'selected' || updates === 'none') return
    const { account, selected } = this.state
    if (updates === 'known' && !selected.changed && !selected.lookedBefore(this.limits.recheckMs)) return
    const steadily = updates === 'steady'
    if (steadily && !(selected.changed && selected.lookedBefore(this.limits.steadyLookMs))) return
    try {
      await tellUpdates({ account, selected, out: this.out, steadily })
    } catch (cause) {
      // The command itself was done. What happened else is told when the mailstore can be asked again.
      if (!(cause instanceof ImapError)) throw cause
    }
  }

  async #literal({ command: received, literal }: Extract<Read, { kind: 'literal' }>): Promise<void> {
    const { tag, text } = received
    const { reader } = this.input
    try {
      const command = find(received)
      command.check(this)
      const use = (await command.literal?.(this, this.#argumentsOf(received), literal)) ?? { kind: 'hold' }
      if (use.kind === 'refuse') throw use.reason
      if (use.kind === 'stage') reader.stream()
      else if (!reader.hold()) throw no('TOOBIG', 'Literals too large or too many')
      if (literal.synchronising) this.out.line('+ OK')
      if (use.kind === 'stage')
        await this.staging.stage(text.literals.length, literal.size, this.#literalOctets(), literal.binary)
    } catch (cause) {
      await this.#answerAppends()
      const result = this.#fault(tag, cause)
      reader.refuse()
      await this.staging.discard()
      this.#counted(received, result, 0)
    }
  }

  async *#literalOctets(): AsyncGenerator<Uint8Array, void, undefined> {
    const { stallMs } = this.limits
    for (;;) {
      const read = await this.input.next(stallMs, stallMs)
      if (read.kind !== 'data') return
      yield read.bytes
    }
  }

  /** The tagged answer to what went wrong. What ends the session is thrown on. */
  #fault(tag: string, cause: unknown): CommandResult {
    if (cause instanceof ImapSyntaxError) return this.#fault(tag, bad(cause.message))
    if (cause instanceof ImapLimitError) return this.#fault(tag, no('LIMIT', cause.message))
    if (cause instanceof ImapNameError) return this.#fault(tag, no('CANNOT', cause.message))
    if (cause instanceof ImapError) {
      this.#badInARow = cause.status === 'BAD' ? this.#badInARow + 1 : 0
      if (cause.code === 'CORRUPTION')
        this.#context.log.error({ err: cause, sessionId: this.id, account: this.#account }, 'stored octets are gone')
      const code = cause.code === null ? '' : `[${cause.code}] `
      this.out.line(`${tag} ${cause.status} ${code}${responseText(cause.message)}`)
      return cause.status === 'BAD' ? 'bad' : 'no'
    }
    if (!isFault(cause)) throw cause
    if (this.input.gone.aborted) throw new ConnectionLost('the client is gone', { cause })
    this.#context.log.error({ err: cause, sessionId: this.id }, 'a command failed')
    this.out.line(`${tag} NO [SERVERBUG] Internal error`)
    return 'no'
  }

  /** @returns the reason, for the log */
  #farewell(cause: unknown): string {
    if (this.input.gone.aborted) return 'the client is gone'
    if (isFault(cause)) this.#context.log.error({ err: cause, sessionId: this.id }, 'a session failed')
    const { reason, bye } = farewell(cause, this.#stopping)
    if (bye) this.out.line(`* BYE ${bye.code === null ? '' : `[${bye.code}] `}${responseText(bye.text)}`)
    return reason
  }

  #argumentsOf({ text, argumentsAt }: ReceivedCommand): Arguments {
    return new Arguments(text, argumentsAt, { utf8: this.enabled.utf8 })
  }

  #counted({ name }: ReceivedCommand, result: CommandResult, seconds: number): void {
    this.#context.onCommand(commands.has(name) ? name : null, result, seconds)
  }

  #logEnd(reason: string): void {
    const { receivedBytes } = this.input
    const { sentBytes } = this.out
    this.#context.onEnd(receivedBytes, sentBytes)
    this.#context.log.info(
      {
        sessionId: this.id,
        clientAddress: this.clientAddress,
        account: this.#account,
        tls: this.#tls,
        compressed: this.#compressed,
        client: this.clientId,
        commands: this.#commands,
        receivedBytes,
        sentBytes,
        seconds: Math.round((performance.now() - this.#startedAt) / 1000),
        reason,
      },
      'session ended',
    )
  }
}

function find({ name }: ReceivedCommand): Command {
  const command = commands.get(name)
  if (!command) throw bad('Unknown command')
  return command
}
