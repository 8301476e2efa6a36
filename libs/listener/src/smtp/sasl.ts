/**
 * SASL mechanisms as conversations: each yields challenges, is given the client's responses, and returns what the client
 * claims. Nothing is checked here.
 *
 * STANDARDS  RFC 4954 §4 (AUTH), RFC 4616 (PLAIN); LOGIN as draft-murchison-sasl-login-00 describes it
 */
import { replies, SmtpError } from '@postbus/smtp'

export interface Credentials {
  mechanism: string
  username: string
  password: string
}

/** Yields challenges and receives responses, both decoded. */
type Conversation = Generator<string, Credentials, string>

/** RFC 4954 §4: a line of an exchange may be this long, CRLF included. */
export const MAX_SASL_LINE = 12_288

const malformed = (): SmtpError => new SmtpError(501, '5.5.2', 'Cannot decode response')

const mechanisms: ReadonlyMap<string, (initial: string | null) => Conversation> = new Map([
  [
    'PLAIN',
    function* plain(initial) {
      const response = initial ?? (yield '')
      const [authorize, username, password, ...rest] = response.split('\0')
      if (authorize === undefined || !username || password === undefined || rest.length > 0) throw malformed()
      // RFC 4616 §2: acting for somebody else is a right nobody has here.
      if (authorize !== '' && authorize !== username) throw replies.badCredentials()
      return { mechanism: 'PLAIN', username, password }
    },
  ],
  [
    'LOGIN',
    function* login(initial) {
      const username = initial ?? (yield 'Username:')
      const password = yield 'Password:'
      if (username === '') throw malformed()
      return { mechanism: 'LOGIN', username, password }
    },
  ],
])

export const mechanismNames = [...mechanisms.keys()]

export type SaslStep = { kind: 'challenge'; line: string } | { kind: 'claim'; credentials: Credentials }

/** One AUTH command and the lines that follow it. */
export class SaslExchange {
  readonly #conversation: Conversation
  #step: SaslStep

  /** @param argument of AUTH: the mechanism, perhaps an initial response */
  constructor(argument: string) {
    const [name = '', initial = null, ...rest] = argument.split(/ +/)
    if (name === '' || rest.length > 0) throw new SmtpError(501, '5.5.4', 'Syntax: AUTH mechanism [initial response]')
    const begin = mechanisms.get(name.toUpperCase())
    if (!begin) throw new SmtpError(504, '5.5.4', 'Mechanism not available')
    // RFC 4954 §4: "=" is an empty response, which is not the same as none.
    this.#conversation = begin(initial === null ? null : initial === '=' ? '' : decode(initial))
    this.#step = stepOf(this.#conversation.next())
  }

  get step(): SaslStep {
    return this.#step
  }

  respond(line: string): SaslStep {
    if (line === '*') throw new SmtpError(501, '5.7.0', 'Authentication cancelled')
    this.#step = stepOf(this.#conversation.next(decode(line)))
    return this.#step
  }
}

function stepOf(result: IteratorResult<string, Credentials>): SaslStep {
  return result.done
    ? { kind: 'claim', credentials: result.value }
    : { kind: 'challenge', line: Buffer.from(result.value).toString('base64') }
}

/** Base 64 of UTF-8, strictly; RFC 4954 §4 wants 501 for anything else. */
function decode(text: string): string {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) throw malformed()
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(text, 'base64'))
  } catch {
    throw malformed()
  }
}
