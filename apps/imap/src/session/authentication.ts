/**
 * Logging in: the directory decides, and delays; the front end says the same words whether or not the account exists.
 *
 * STANDARDS  RFC 5530 §3; RFC 9051 §6.2.3, §11.3
 */
import { setTimeout as pause } from 'node:timers/promises'

import { BusUnavailable } from '@postbus/bus'
import { directoryLogins, type Granted } from '@postbus/directory-client'
import type { Verdict, Verifier } from '@postbus/sasl'

import { no, unavailable, type ImapError } from '../reply.ts'
import type { Session } from './session.ts'

/** @throws ImapError a password would travel in the clear — RFC 9051 §11.1 */
export function requirePrivacy(session: Session): void {
  if (!session.capabilities().mayLogIn) throw no('PRIVACYREQUIRED', 'Start TLS before you log in')
}

/**
 * @param attempt what the client says, put to the directory
 * @throws ImapError
 */
export async function logInWith(
  session: Session,
  attempt: (verifier: Verifier<Granted>) => Promise<Verdict<Granted>>,
): Promise<void> {
  const { observe } = session.ports
  const verdict = await ask(session, attempt)
  switch (verdict.kind) {
    case 'accepted':
      observe.login('accepted')
      return session.logIn(verdict.granted)
    case 'refused':
      await pause(verdict.delayMs, undefined, { signal: session.input.gone })
      throw refused(session, verdict.expired)
    case 'throttled':
      observe.login('throttled')
      session.failedLogins++
      throw no('UNAVAILABLE', 'Too many logins, try again later')
  }
}

async function ask(
  { clientAddress, ports }: Session,
  attempt: (verifier: Verifier<Granted>) => Promise<Verdict<Granted>>,
): Promise<Verdict<Granted>> {
  try {
    return await attempt(directoryLogins(ports.bus, { clientAddress, service: 'imap' }))
  } catch (cause) {
    if (!(cause instanceof BusUnavailable)) throw cause
    ports.observe.login('unavailable')
    throw unavailable(cause)
  }
}

function refused(session: Session, expired = false): ImapError {
  session.ports.observe.login('refused')
  session.failedLogins++
  if (expired) return no('EXPIRED', 'The access token has expired')
  return no('AUTHENTICATIONFAILED', 'User name or password is wrong')
}
