/**
 * Logging in: the directory decides, and delays; the front end says the same words whether or not the account exists.
 *
 * STANDARDS  RFC 5530 §3; RFC 9051 §6.2.3, §11.3
 */
import { setTimeout as pause } from 'node:timers/promises'

import { BusUnavailable } from '@postbus/bus'
import { authenticate } from '@postbus/contracts'

import { no, unavailable, type ImapError } from '../reply.ts'
import type { Session } from './session.ts'

/** What the directory's contract takes; more is nobody's. */
const MAX_USERNAME = 320
const MAX_PASSWORD = 1024

export interface Credentials {
  username: string
  password: string
}

/** @throws ImapError a password would travel in the clear — RFC 9051 §11.1 */
export function requirePrivacy(session: Session): void {
  if (!session.capabilities().mayLogIn) throw no('PRIVACYREQUIRED', 'Start TLS before you log in')
}

/** @throws ImapError */
export async function logInWith(session: Session, { username, password }: Credentials): Promise<void> {
  const { observe } = session.ports
  if (username === '' || username.length > MAX_USERNAME || password.length > MAX_PASSWORD) throw refused(session)
  const answer = await ask(session, { username, password })
  switch (answer.kind) {
    case 'accepted':
      observe.login('accepted')
      return session.logIn(answer)
    case 'refused':
      await pause(answer.delayMs, undefined, { signal: session.input.gone })
      throw refused(session)
    case 'throttled':
      observe.login('throttled')
      session.failedLogins++
      throw no('UNAVAILABLE', 'Too many failures, try again later')
  }
}

async function ask(session: Session, credentials: Credentials) {
  const { clientAddress, ports } = session
  try {
    return await ports.bus.request(authenticate, { ...credentials, clientAddress, service: 'imap' })
  } catch (cause) {
    if (!(cause instanceof BusUnavailable)) throw cause
    ports.observe.login('unavailable')
    throw unavailable(cause)
  }
}

function refused(session: Session): ImapError {
  session.ports.observe.login('refused')
  session.failedLogins++
  return no('AUTHENTICATIONFAILED', 'User name or password is wrong')
}
