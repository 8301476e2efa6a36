/**
 * One SMTP or LMTP session: what the peer offers, and transactions one after the other.
 *
 * A session stays in step as long as there was one reply to each command; after a refusal it begins anew with RSET. Out of step
 * nothing that comes is believed, and nothing more is said.
 *
 * STANDARDS  RFC 5321 §3.3, §4.1.1; RFC 2920 (PIPELINING); RFC 2033 §4.2 (LMTP); RFC 1870, 6152, 6531, 3461, 8689 (parameters)
 */
import { encodeXtext } from '@postbus/smtp'
import { type Step, SpanKind, traced } from '@postbus/tracing'

import type { PeerReply } from '../attempt/reply.ts'
import type { Answer, Peer, Session, Transaction } from '../attempt/session.ts'
import { type Dialogue, DialogueOver } from './dialogue.ts'
import { DialogueSteps } from './dialogue-steps.ts'
import { sendContent } from './outgoing-content.ts'

export interface SmtpSessionOptions {
  protocol: 'smtp' | 'lmtp'
  replyTimeoutMs: number
  dataTimeoutMs: number
  blockTimeoutMs: number
  dotTimeoutMs: number
  maxMessages: number
}

/** RFC 5321 §4.1.1.10: not without QUIT; but nobody waits long for its answer. */
const QUIT = 'QUIT'

export class SmtpSession implements Session {
  readonly peer: Peer
  /** Called instead of closing when the session may be used again. */
  onRelease: () => void = () => this.close()
  readonly #dialogue: Dialogue
  readonly #options: SmtpSessionOptions
  #messages = 0
  #inStep = true
  /** The peer may still be in a transaction. */
  #begun = false
  #reused = false
  #waiting: { timer: NodeJS.Timeout; gone(): void } | undefined

  constructor(dialogue: Dialogue, peer: Peer, options: SmtpSessionOptions) {
    this.#dialogue = dialogue
    this.#options = options
    this.peer = peer
  }

  get reused(): boolean {
    return this.#reused
  }

  send(transaction: Transaction, body: AsyncIterable<Uint8Array>): Promise<Answer[]> {
    const attributes = {
      'postbus.recipients': transaction.recipients.length,
      'messaging.message.body.size': transaction.size,
      'postbus.session.reused': this.#reused,
    }
    return traced('SMTP send', { kind: SpanKind.CLIENT, attributes }, async (step) => {
      const pipelining = this.peer.offers('PIPELINING')
      const steps = new DialogueSteps(pipelining ? ['MAIL', 'RCPT', 'DATA'] : [])
      this.#messages++
      const answers = new Answers(transaction.recipients.length)
      try {
        await this.#transact(transaction, body, { pipelining, steps, answers })
      } catch (error) {
        this.#inStep = false
        if (!(error instanceof DialogueOver)) throw error
        answers.others({ kind: 'broken', reason: error.message, afterDot: answers.afterDot })
      } finally {
        conclude(step, steps, answers)
      }
      return answers.all
    })
  }

  async #transact(
    transaction: Transaction,
    body: AsyncIterable<Uint8Array>,
    { pipelining, steps, answers }: { pipelining: boolean; steps: DialogueSteps; answers: Answers },
  ): Promise<void> {
    const { recipients } = transaction
    const { replyTimeoutMs, dataTimeoutMs } = this.#options
    const dialogue = this.#dialogue
    if (dialogue.disturbed) await this.#goodbye(answers)
    const lines = [mailLine(transaction, this.peer), ...recipients.map(rcptLine), 'DATA']
    if (this.#begun) lines.unshift('RSET')
    if (pipelining) {
      dialogue.say(lines)
      steps.begin('MAIL')
    }
    let at = 0
    /** @returns the reply to the next command; 421 ends it all */
    const ask = async (to: PeerReply['to'], withinMs = replyTimeoutMs): Promise<string> => {
      const line = lines[at++] ?? ''
      if (!pipelining) {
        dialogue.say([line])
        steps.begin(/^[A-Z]*/.exec(line)?.[0] ?? '')
      }
      const reply = await dialogue.reply(withinMs)
      if (!reply.startsWith('421')) return reply
      answers.others({ kind: 'refused', reply: { to, text: reply } })
      throw new DialogueOver('The next host ended the session')
    }

    if (this.#begun && !isPositive(await ask('session'))) throw new DialogueOver('The next host does not begin anew')
    this.#begun = true
    const mail = await ask('MAIL')
    if (!isPositive(mail)) {
      answers.others({ kind: 'refused', reply: { to: 'MAIL', text: mail } })
      // RFC 2920 §3.1: what is said to the pipelined rest (503) is about the order of commands only.
      if (pipelining) for (const _ of recipients) await ask('RCPT')
      if (pipelining && isGoAhead(await ask('DATA'))) throw new DialogueOver('The next host waits for a message')
      return
    }
    const taken: number[] = []
    for (const index of recipients.keys()) {
      const reply = await ask('RCPT')
      if (isPositive(reply)) taken.push(index)
      else answers.set(index, { kind: 'refused', reply: { to: 'RCPT', text: reply } })
    }
    if (taken.length === 0) {
      if (pipelining && isGoAhead(await ask('DATA'))) await this.#nothing()
      return
    }
    // Sent together with the others, it may have to wait for replies that take longer.
    const data = await ask('DATA', pipelining ? replyTimeoutMs : dataTimeoutMs)
    if (!isGoAhead(data)) {
      if (isPositive(data)) throw new DialogueOver(`The next host answered DATA with ${data}`)
      return answers.others({ kind: 'refused', reply: { to: 'DATA', text: data } })
    }
    if (dialogue.disturbed) throw new DialogueOver('The next host said more than it was asked')
    await this.#content(body, steps, answers, taken)
  }

  async #content(
    body: AsyncIterable<Uint8Array>,
    steps: DialogueSteps,
    answers: Answers,
    taken: readonly number[],
  ): Promise<void> {
    const { protocol, blockTimeoutMs, dotTimeoutMs } = this.#options
    steps.begin('content')
    const whole = await sendContent(this.#dialogue, body, blockTimeoutMs, () => {
      answers.afterDot = true
      steps.begin('reply')
    })
    const reply = await this.#dialogue.reply(dotTimeoutMs)
    if (!whole) {
      if (!isPositive(reply) && !isGoAhead(reply)) {
        answers.others({ kind: 'refused', reply: { to: 'DATA', text: reply } })
      }
      throw new DialogueOver('The next host answered before the message was sent')
    }
    for (const [position, index] of taken.entries()) {
      const own = protocol === 'smtp' || position === 0 ? reply : await this.#dialogue.reply(dotTimeoutMs)
      if (isGoAhead(own)) throw new DialogueOver(`The next host answered the message with ${own}`)
      answers.set(
        index,
        isPositive(own) ? { kind: 'accepted', reply: own } : { kind: 'refused', reply: { to: 'DATA', text: own } },
      )
      if (own.startsWith('421')) this.#inStep = false
    }
    // Whatever it accepted is over; what it refused may be, too.
    this.#begun = !isPositive(reply)
    if (this.#dialogue.disturbed) this.#inStep = false
  }

  /** A peer that waits for a message to nobody is given an empty one; LMTP has no reply to that — RFC 2033 §4.2. */
  async #nothing(): Promise<void> {
    if (this.#options.protocol === 'lmtp') throw new DialogueOver('The next host waits for a message to nobody')
    this.#dialogue.say(['.'])
    await this.#dialogue.reply(this.#options.dotTimeoutMs)
  }

  /** Before MAIL: what a peer says without being asked can only be its last word. */
  async #goodbye(answers: Answers): Promise<never> {
    const text = await this.#dialogue.reply(0)
    if (isPositive(text) || isGoAhead(text)) throw new DialogueOver(`The next host said without being asked: ${text}`)
    answers.others({ kind: 'refused', reply: { to: 'session', text } })
    throw new DialogueOver('The next host ended the session')
  }

  release(): void {
    if (this.#inStep && this.#messages < this.#options.maxMessages) this.onRelease()
    else this.close()
  }

  /** Waits for another message. @param gone called when it ended instead */
  wait(idleMs: number, gone: () => void): void {
    const timer = setTimeout(() => this.close(), idleMs)
    this.#waiting = { timer, gone }
    this.#dialogue.unasked = () => this.close()
    if (this.#dialogue.disturbed) this.close()
  }

  /** @returns whether it is still there */
  wake(): boolean {
    clearTimeout(this.#waiting?.timer)
    this.#waiting = undefined
    this.#dialogue.unasked = () => {}
    this.#reused = true
    return this.#inStep
  }

  close(): void {
    const { gone, timer } = this.#waiting ?? {}
    this.#waiting = undefined
    clearTimeout(timer)
    this.#dialogue.unasked = () => {}
    this.#dialogue.close(this.#inStep ? QUIT : undefined)
    this.#inStep = false
    gone?.()
  }
}

/** What has become of the recipients of one transaction, in their order. */
class Answers {
  readonly #answers: (Answer | undefined)[]
  /** The final dot has been written, or is about to be. */
  afterDot = false

  constructor(count: number) {
    this.#answers = Array.from({ length: count }, () => undefined)
  }

  set(index: number, answer: Answer): void {
    this.#answers[index] ??= answer
  }

  /** Of all who have none of their own. */
  others(answer: Answer): void {
    for (const index of this.#answers.keys()) this.set(index, answer)
  }

  get all(): Answer[] {
    return this.#answers.map((answer) => answer ?? { kind: 'broken', reason: 'no answer', afterDot: this.afterDot })
  }
}

/** 0: the peer said nothing. */
function conclude(step: Step, steps: DialogueSteps, { all: [first] }: Answers): void {
  const said = first?.kind === 'accepted' ? first.reply : first?.kind === 'refused' ? first.reply.text : ''
  const code = Number(said.slice(0, 3)) || 0
  step.set({ 'postbus.smtp.code': code })
  const failed = first?.kind === 'accepted' ? undefined : String(code)
  if (failed !== undefined) step.failed(failed)
  steps.end(failed)
}

const isPositive = (reply: string): boolean => reply.startsWith('2')
const isGoAhead = (reply: string): boolean => reply.startsWith('3')

function mailLine({ reversePath, size, body8bit, smtputf8, requireTls, ret, envid }: Transaction, peer: Peer): string {
  const parameters = [
    peer.offers('SIZE') && `SIZE=${size}`,
    body8bit && 'BODY=8BITMIME',
    smtputf8 && 'SMTPUTF8',
    requireTls && 'REQUIRETLS',
    ret !== undefined && `RET=${ret}`,
    envid !== undefined && `ENVID=${encodeXtext(envid)}`,
  ]
  return [`MAIL FROM:<${reversePath}>`, ...parameters.filter(Boolean)].join(' ')
}

const rcptLine = ({ forwardPath, parameters }: Transaction['recipients'][number]): string =>
  `RCPT TO:<${forwardPath}>${parameters === '' ? '' : ` ${parameters}`}`
