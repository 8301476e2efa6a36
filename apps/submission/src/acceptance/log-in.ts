/**
 * Who is logging in. The directory decides; a refusal is slowed down here, and reads the same whether or not the account exists.
 *
 * STANDARDS  RFC 4954 §6 (535 5.7.8, 454 4.7.0); RFC 6409 §4.3
 */
import { replies, SmtpError } from '@postbus/smtp'

export interface Claim {
  username: string
  password: string
  clientAddress: string
}

export type LoginAnswer =
  { kind: 'accepted'; account: string; address: string } | { kind: 'refused'; delayMs: number } | { kind: 'throttled' }

export interface LoginPorts {
  /** Throws when the directory cannot be asked. */
  authenticate(claim: Claim): Promise<LoginAnswer>
  /** Resolves after the time, or when the client has gone. */
  pause(ms: number, signal: AbortSignal): Promise<void>
}

export interface Login {
  account: string
  address: string
}

const temporary = (text: string, cause?: unknown): SmtpError => new SmtpError(454, '4.7.0', text, { cause })

/** @throws the refusal */
export async function logIn(claim: Claim, signal: AbortSignal, ports: LoginPorts): Promise<Login> {
  const answer = await ports.authenticate(claim).catch((cause: unknown) => {
    throw temporary('Temporary authentication failure', cause)
  })
  if (answer.kind === 'throttled') throw temporary('Too many failed logins, try again later')
  if (answer.kind === 'refused') {
    await ports.pause(answer.delayMs, signal)
    throw replies.badCredentials()
  }
  return answer
}
