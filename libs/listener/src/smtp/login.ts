/**
 * AUTH of one session: one exchange of lines, then one question to the service.
 *
 * STANDARDS  RFC 4954 §4 (AUTH), §6 (replies)
 */
import { replies } from '@postbus/smtp'

import type { Journal } from './journal.ts'
import { type Credentials, SaslExchange, type SaslStep } from './sasl.ts'
import type { SmtpServer } from './server.ts'
import type { Held, Speaker } from './speaker.ts'
import type { Login, SmtpClient } from './types.ts'

/** Refused logins before the session ends. */
const MAX_REFUSED = 5

export interface LoginParts {
  server: Pick<SmtpServer, 'handlers'>
  speaker: Speaker
  journal: Journal
  client: SmtpClient
}

export class LoginDesk {
  readonly #parts: LoginParts
  #login: Login | null = null
  #exchange: SaslExchange | null = null
  #refused = 0

  constructor(parts: LoginParts) {
    this.#parts = parts
  }

  get login(): Login | null {
    return this.#login
  }

  /** The next line is no command but a response. */
  get awaiting(): boolean {
    return this.#exchange !== null
  }

  /** @param argument of AUTH: the mechanism, perhaps an initial response */
  begin(argument: string): Held {
    const exchange = new SaslExchange(argument)
    return this.#advance(exchange, exchange.step)
  }

  respond(line: string): Held {
    const exchange = this.#exchange
    this.#exchange = null
    return exchange ? this.#advance(exchange, exchange.respond(line)) : undefined
  }

  cancel(): void {
    this.#exchange = null
  }

  forget(): void {
    this.#exchange = null
    this.#login = null
  }

  #advance(exchange: SaslExchange, step: SaslStep): Held {
    if (step.kind === 'claim') return this.#decide(step.credentials)
    this.#exchange = exchange
    return this.#parts.speaker.reply(334, null, step.line)
  }

  async #decide(credentials: Credentials): Promise<void> {
    const { server, speaker, journal, client } = this.#parts
    try {
      const login = await speaker.ask(() => server.handlers.authenticate?.(credentials, client))
      if (!login) throw replies.badCredentials()
      this.#login = login
    } catch (error) {
      const refusal = speaker.refusal(error)
      journal.authentication(credentials, refusal)
      const tooMany = refusal.code === 535 && ++this.#refused >= MAX_REFUSED
      if (tooMany) return speaker.reply(421, '4.7.0', 'Too many failed logins, closing connection')
      return speaker.refuse(refusal)
    }
    journal.authentication(credentials, null)
    speaker.reply(235, '2.7.0', 'Authentication succeeded')
  }
}
