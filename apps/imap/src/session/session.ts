/**
 * One client's session: its state, and what commands may do with it.
 *
 * STANDARDS  RFC 9051 §3 (states)
 */
import type { Blobs } from '@postbus/blobs'
import type { Bus } from '@postbus/bus'
import type { Granted } from '@postbus/directory-client'
import type { Offer } from '@postbus/sasl'

import type { CapabilityFacts } from '../capabilities.ts'
import type { Input } from '../input.ts'
import type { Output } from '../output.ts'
import type { Account } from './account.ts'
import type { Allowance } from './allowance.ts'
import type { Enabled } from './enabled.ts'
import type { KnownMessages } from './known-messages.ts'
import type { ReadAhead } from './read-ahead.ts'
import type { SelectedMailbox } from './selected-mailbox.ts'
import type { Staging } from './staging.ts'

export type State =
  { kind: 'notAuthenticated' } | { kind: 'authenticated'; account: Account } | Selected | { kind: 'logout' }

export interface Selected {
  kind: 'selected'
  account: Account
  selected: SelectedMailbox
}

/** What sessions need from the world; tests pass a bus and blobs of their own. */
export interface SessionPorts {
  bus: Pick<Bus, 'request' | 'rows'>
  blobs: Pick<Blobs, 'put' | 'read' | 'delete'>
  watch: {
    /** @returns stops watching */
    watch(account: string, watcher: Watcher): () => void
  }
  /** Counts sessions of an account; null when it has too many. The answer ends the counting. */
  admit(account: string): (() => void) | null
  /** Octets that all sessions together may hold of messages read ahead. */
  readAhead: Allowance
  known: KnownMessages
  observe: Observe
}

/** Told when mailboxes of an account changed, or may have. */
export interface Watcher {
  hint(mailbox: number, highestModseq: number, uidNext: number): void
  mayHaveChanged(): void
}

/** What is counted; names of metrics are elsewhere. */
export interface Observe {
  login(result: 'accepted' | 'refused' | 'throttled' | 'unavailable'): void
  /** From the hint about a change to its lines on their way to an idling client. */
  pushed(seconds: number): void
}

export interface SessionLimits {
  /** A session that says nothing for so long ends — RFC 9051 §5.4: 30 minutes at least. */
  autologoutMs: number
  /** The same before login. */
  loginMs: number
  /** Silence in the middle of a command or a literal. */
  stallMs: number
  maxAppendBytes: number
  /** Octets of messages a session reads ahead. */
  maxReadAheadBytes: number
  maxFailedLogins: number
  /** How long a change may go unnoticed when its hint was lost. */
  recheckMs: number
  /** How soon after a look a command that must not move sequence numbers looks again. */
  steadyLookMs: number
  /** A line to an idling client, so that nobody on the way forgets the connection. */
  keepaliveMs: number
}

export interface Session {
  readonly id: string
  readonly clientAddress: string
  readonly ports: SessionPorts
  readonly limits: SessionLimits
  readonly out: Output
  readonly input: Input
  state: State
  readonly enabled: Enabled
  /** Of the command in hand. */
  readonly tag: string
  /** Message literals of the command in hand. */
  readonly staging: Pick<Staging, 'count' | 'get'>
  readonly readAhead: ReadAhead
  failedLogins: number
  /** How many hints came so far: whoever reads a mailbox sees whether one came meanwhile. */
  readonly hints: number
  /** The client's ID, for the log — RFC 2971. */
  clientId: Record<string, string> | undefined
  capabilities(): CapabilityFacts
  /** What SASL mechanisms there are, and what they bind to. */
  readonly offer: Offer
  /** Sends a continuation request and waits for the line that answers it; null when it is too long. */
  challenge(text: string): Promise<string | null>
  logIn(granted: Granted): void
  select(account: Account, selected: SelectedMailbox): void
  /** Back to authenticated. */
  unselect(): void
}
