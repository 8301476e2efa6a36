/** What an attempt needs of an SMTP session, as values: who the peer is, one transaction, what it answered. */
import type { Host } from './destination.ts'
import type { PeerReply } from './reply.ts'

/** What a peer says of itself in its reply to EHLO. */
export interface Peer {
  /** The name it calls itself by. */
  name: string
  /** The session is encrypted. */
  secure: boolean
  offers(extension: string): boolean
  /** The largest message it takes; 0: it did not say — RFC 1870. */
  maxSize: number
}

export interface Transaction {
  reversePath: string
  /** As they go on the wire, each with the parameters of its RCPT. */
  recipients: readonly { forwardPath: string; parameters: string }[]
  size: number
  body8bit: boolean
  smtputf8: boolean
  requireTls: boolean
  ret?: 'FULL' | 'HDRS' | undefined
  envid?: string | undefined
}

/** What became of one recipient in one transaction. */
export type Answer =
  | { kind: 'accepted'; reply: string }
  | { kind: 'refused'; reply: PeerReply }
  /** The session ended without an answer. After the final dot nobody knows whether the message was taken — RFC 1047. */
  | { kind: 'broken'; reason: string; afterDot: boolean }

export interface Session {
  readonly peer: Peer
  /** It has been used before and waited since: the peer may have closed it meanwhile. */
  readonly reused: boolean
  /** The answers are in the order of the recipients. @throws whatever `body` throws; nothing was sent then */
  send(transaction: Transaction, body: AsyncIterable<Uint8Array>): Promise<Answer[]>
  /** Gives it back: kept for the next message to the same host, or closed. */
  release(): void
}

/** @throws SessionFailed, TlsMissing */
export type OpenSession = (host: Host, options: { requireTls: boolean; fresh: boolean }) => Promise<Session>

/** No session with this host now. */
export class SessionFailed extends Error {
  override readonly name = 'SessionFailed'
  /** What the peer said, when it said something. */
  readonly reply: string | undefined

  constructor(message: string, options: ErrorOptions & { reply?: string | undefined }) {
    super(message, options)
    this.reply = options.reply
  }
}

/** The message may only go over verified TLS, and this host has none — RFC 8689 §4.2.1. */
export class TlsMissing extends Error {
  override readonly name = 'TlsMissing'
}
