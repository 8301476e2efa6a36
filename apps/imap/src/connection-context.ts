/** What a connection is given: the other end, its limits, and what it reports to. */
import type { Duplex } from 'node:stream'

import type { Tracer } from '@postbus/tracing'
import type { Logger } from 'pino'

import type { InputLimits } from './input.ts'
import type { OutputLimits } from './output.ts'
import type { SessionLimits, SessionPorts } from './session/session.ts'

/** The other end, as the listener hands it over. */
export interface Peer {
  /** Names the session in the log. */
  id: string
  stream: Duplex
  clientAddress: string
  tls: boolean
  /** What ties a login to the TLS session as it is now; null where there is none. */
  channelBinding(type: string): Uint8Array | null
  /** Sends this line and does the handshake. Undefined where TLS cannot be started. */
  startTls: ((agreement: string) => Promise<Duplex>) | undefined
}

export interface ConnectionLimits extends SessionLimits, InputLimits, OutputLimits {
  /** A client that sends nothing but nonsense is none. */
  maxBadCommands: number
  maxCommandsBeforeLogin: number
  maxCommandsPerSecond: number
}

export type CommandResult = 'ok' | 'no' | 'bad'

export interface ConnectionContext {
  ports: SessionPorts
  limits: ConnectionLimits
  /** Passwords are taken without TLS. */
  plaintextLogin: boolean
  /** Tokens of an issuer are taken. */
  bearerLogin: boolean
  log: Logger
  /** Begins a trace for each command; null: none is recorded. */
  tracer?: Tracer | null
  /** Every command, known by name or not, with how long its answer took. */
  onCommand(name: string | null, result: CommandResult, seconds: number): void
  onEnd(receivedBytes: number, sentBytes: number): void
}
