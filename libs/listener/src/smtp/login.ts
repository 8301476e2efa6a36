/**
 * AUTH of one session: a conversation of libs/sasl over lines, its decision by the service.
 *
 * The conversation waits for the client in the middle; the session does not. What `begin` and `respond` return is settled as soon as
 * it is the client's turn again, so that its silence is a client's silence.
 *
 * STANDARDS  RFC 4954 §4 (AUTH), §6 (replies)
 */
import {
  decodeInitial,
  decodeResponse,
  mechanismOf,
  naming,
  offeredMechanisms,
  SaslFault,
  type Mechanism,
  type Offer,
} from '@postbus/sasl'
import { replies, SmtpError } from '@postbus/smtp'
import { type Step, traced } from '@postbus/tracing'

import type { SmtpChannel } from './channel.ts'
import type { Journal } from './journal.ts'
import type { SmtpServer } from './server.ts'
import type { Held, Speaker } from './speaker.ts'
import type { Login, LoginAttempt, SmtpClient } from './types.ts'

/** RFC 4954 §4: a line of an exchange may be this long, CRLF included. */
export const MAX_SASL_LINE = 12_288
/** Refused logins before the session ends. */
const MAX_REFUSED = 5

export interface LoginParts {
  channel: Pick<SmtpChannel, 'channelBinding'>
  server: Pick<SmtpServer, 'handlers' | 'bearerLogin'>
  speaker: Speaker
  journal: Journal
  client: SmtpClient
}

/** What the journal writes about an attempt. */
export interface LoginFacts {
  mechanism: string
  /** As the client gave it, if it got so far. */
  username?: string
}

export class LoginDesk {
  readonly #parts: LoginParts
  readonly #offer: Offer
  #login: Login | null = null
  /** The conversation waits for the next line. */
  #answer: PromiseWithResolvers<string> | null = null
  /** Settled when it is the client's turn. */
  #turn = Promise.withResolvers<void>()
  #refused = 0

  constructor(parts: LoginParts) {
    const { channel, server } = parts
    this.#parts = parts
    this.#offer = { channel, bearer: server.bearerLogin, login: true }
  }

  get login(): Login | null {
    return this.#login
  }

  get mechanisms(): string[] {
    return offeredMechanisms(this.#offer)
  }

  /** The next line is no command but a response. */
  get awaiting(): boolean {
    return this.#answer !== null
  }

  /** @param argument of AUTH: the mechanism, perhaps an initial response */
  begin(argument: string): Held {
    const [name = '', initial, ...rest] = argument.split(/ +/)
    if (name === '' || rest.length > 0) throw new SmtpError(501, '5.5.4', 'Syntax: AUTH mechanism [initial response]')
    const mechanism = mechanismOf(name, this.#offer)
    if (!mechanism) throw new SmtpError(504, '5.5.4', 'Mechanism not available')
    return this.#proceed(() => {
      const facts: LoginFacts = { mechanism: name.toUpperCase() }
      const attributes = { 'postbus.sasl.mechanism': facts.mechanism }
      void traced('AUTH', { attributes }, (step) => this.#converse(facts, mechanism, initial, step))
    })
  }

  respond(line: string): Held {
    const answer = this.#answer
    this.#answer = null
    return answer ? this.#proceed(() => answer.resolve(line)) : undefined
  }

  /** Instead of a response: the conversation ends with this reply. */
  breakOff(reply: SmtpError): Held {
    const answer = this.#answer
    this.#answer = null
    return answer ? this.#proceed(() => answer.reject(reply)) : undefined
  }

  forget(): void {
    this.#answer = null
    this.#login = null
  }

  #proceed(act: () => void): Promise<void> {
    this.#turn = Promise.withResolvers<void>()
    act()
    return this.#parts.speaker.ask(() => this.#turn.promise)
  }

  async #ask(octets: Uint8Array): Promise<Uint8Array> {
    this.#parts.speaker.reply(334, null, Buffer.from(octets).toString('base64'))
    this.#answer = Promise.withResolvers<string>()
    this.#turn.resolve()
    return decodeResponse(await this.#answer.promise)
  }

  /** Never throws. */
  async #converse(facts: LoginFacts, mechanism: Mechanism, initial: string | undefined, step: Step): Promise<void> {
    const { server, speaker, journal, client } = this.#parts
    const { channel } = this.#offer
    const attempt: LoginAttempt = async (verifier) => {
      const noted = naming(verifier, (username) => (facts.username = username))
      const challenge = (octets: Uint8Array) => this.#ask(octets)
      try {
        return await mechanism({ initial: decodeInitial(initial), channel, verifier: noted, challenge })
      } catch (cause) {
        throw cause instanceof SaslFault ? replyTo(cause) : cause
      }
    }
    try {
      const login = await server.handlers.authenticate?.(attempt, client)
      if (!login) throw replies.badCredentials()
      this.#login = login
      journal.authentication(facts, null)
      speaker.reply(235, '2.7.0', 'Authentication succeeded')
    } catch (error) {
      const refusal = speaker.refusal(error)
      journal.authentication(facts, refusal)
      step.failed(String(refusal.code))
      const tooMany = refusal.code === 535 && ++this.#refused >= MAX_REFUSED
      if (tooMany) speaker.reply(421, '4.7.0', 'Too many failed logins, closing connection')
      else speaker.refuse(refusal)
    }
    this.#turn.resolve()
  }
}

function replyTo({ kind, message }: SaslFault): SmtpError {
  switch (kind) {
    case 'cancelled':
      return new SmtpError(501, '5.7.0', 'Authentication cancelled')
    case 'malformed':
      return new SmtpError(501, '5.5.2', message)
    case 'notAuthorized':
      return replies.badCredentials()
  }
}
