/**
 * Who is logging in. The directory decides; a refusal is slowed down here, and reads the same whether or not the account exists.
 *
 * STANDARDS  RFC 4954 §6 (535 5.7.8, 454 4.7.0); RFC 6409 §4.3
 */
import type { Verdict, Verifier } from '@postbus/sasl'
import { replies, SmtpError } from '@postbus/smtp'

export interface Login {
  account: string
  address: string
}

export interface LoginPorts {
  /** For a client at this address; throws when the directory cannot be asked. */
  verifier(clientAddress: string): Verifier<Login>
  /** Resolves after the time, or when the client has gone. */
  pause(ms: number, signal: AbortSignal): Promise<void>
}

export interface LoginClient {
  address: string
  /** Aborted when it has gone. */
  signal: AbortSignal
}

const temporary = (text: string, cause?: unknown): SmtpError => new SmtpError(454, '4.7.0', text, { cause })

/**
 * @param attempt what the client says, put to the directory
 * @throws the refusal
 */
export async function logIn(
  attempt: (verifier: Verifier<Login>) => Promise<Verdict<Login>>,
  { address, signal }: LoginClient,
  ports: LoginPorts,
): Promise<Login> {
  const verdict = await attempt(ports.verifier(address)).catch((cause: unknown) => {
    throw cause instanceof SmtpError ? cause : temporary('Temporary authentication failure', cause)
  })
  if (verdict.kind === 'throttled') throw temporary('Too many logins, try again later')
  if (verdict.kind === 'refused') {
    await ports.pause(verdict.delayMs, signal)
    throw replies.badCredentials()
  }
  return verdict.granted
}
