/**
 * One POP3 session: which state it is in, what each state knows, and what the world offers it.
 *
 * STANDARDS  RFC 1939 §3 (states)
 */
import type { Maildrop } from './maildrop.ts'
import type { Reply } from './reply.ts'

export type Login =
  | { kind: 'opened'; maildrop: Maildrop; release(): Promise<void> }
  | { kind: 'refused'; delayMs: number }
  | { kind: 'throttled' }
  /** Another session has the maildrop — RFC 1939 §4. */
  | { kind: 'inUse' }

export interface SessionPorts {
  /** Checks the password, locks the maildrop and takes its snapshot. Throws when something it needs is down. */
  login(username: string, password: string): Promise<Login>
  /** The next line, for a SASL exchange; null at the end of the connection. */
  readLine(): Promise<string | null>
  write(line: string): void
  pause(ms: number): Promise<void>
}

export interface Session {
  readonly ports: SessionPorts
  /** STLS may be offered: a certificate is there and the connection is in the clear. */
  canStartTls: boolean
  /** Passwords may be sent: encrypted, or allowed by a setting. */
  mayLogin: boolean
  /** USER's argument, waiting for PASS. */
  username: string | null
  open: { maildrop: Maildrop; release(): Promise<void> } | null
  ended: boolean
}

export type Command = (session: Session, argument: string) => Promise<Reply> | Reply
