/**
 * One POP3 session: which state it is in, what each state knows, and what the world offers it.
 *
 * STANDARDS  RFC 1939 §3 (states)
 */
import type { Granted } from '@postbus/directory-client'
import type { Offer, Verdict, Verifier } from '@postbus/sasl'

import type { Maildrop } from './maildrop.ts'
import type { Reply } from './reply.ts'

export interface OpenMaildrop {
  maildrop: Maildrop
  release(): Promise<void>
}

export type LoginResult = Verdict<unknown>['kind'] | 'inUse'

export interface SessionPorts {
  /** Throws when something it needs is down. */
  verifier: Verifier<Granted>
  /**
   * Locks the maildrop and takes its snapshot; null: another session has it — RFC 1939 §4. Throws when something it needs is
   * down.
   */
  openMaildrop(granted: Granted): Promise<OpenMaildrop | null>
  loggedIn(result: LoginResult): void
  /** The next line, for a SASL exchange; null at the end of the connection. */
  readLine(): Promise<string | null>
  write(line: string): Promise<void>
  pause(ms: number): Promise<void>
}

export interface Session {
  readonly ports: SessionPorts
  /** What SASL mechanisms there are, and what they bind to. */
  readonly offer: Offer
  /** STLS may be offered: a certificate is there and the connection is in the clear. */
  canStartTls: boolean
  /** Passwords may be sent: encrypted, or allowed by a setting. */
  mayLogin: boolean
  /** UTF8 was said — RFC 6856 §2.1. */
  utf8: boolean
  /** USER's argument, waiting for PASS. */
  username: string | null
  open: OpenMaildrop | null
  ended: boolean
}

export type Command = (session: Session, argument: string) => Promise<Reply> | Reply

/** Not the command is over but the session: a time limit, the end of the service, a line without end. The cause says which. */
export class EndOfSession extends Error {
  override readonly name = 'EndOfSession'
}
