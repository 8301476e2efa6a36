/** What an attempt needs from the world: names, sessions, bytes. */
import type { Refusal } from './outcome.ts'

/** Where mail for a domain goes. An absent answer is `temporary`, never anything else. */
export type MxAnswer =
  /** Lowest preference first; hosts of equal preference in any order. */
  | { kind: 'hosts'; hosts: { preference: number; host: string }[] }
  /** The domain exists and has no MX: it is its own — RFC 5321 §5.1. */
  | { kind: 'implicit' }
  /** RFC 7505: this domain takes no mail. */
  | { kind: 'nullMx' }
  | { kind: 'noSuchDomain' }
  | { kind: 'temporary'; reason: string }

export type AddressAnswer =
  | { kind: 'addresses'; addresses: string[] }
  | { kind: 'none' }
  | { kind: 'temporary'; reason: string }

export interface Names {
  mxHosts(domain: string): Promise<MxAnswer>
  addresses(host: string): Promise<AddressAnswer>
}

/** One address of one host to try. */
export interface Target {
  /** Name of the host, or the address literal. */
  host: string
  address: string
  port: number
}

/** What a peer offers in its reply to EHLO. */
export interface Peer {
  /** The name the peer calls itself. */
  name: string
  secure: boolean
  offers(extension: string): boolean
  /** The largest message it takes; 0: it did not say — RFC 1870. */
  maxSize: number
}

export interface Transaction {
  reversePath: string
  /** Forward-paths as they go on the wire, with their parameters. */
  recipients: readonly { forwardPath: string; parameters: string }[]
  /** Of MAIL. */
  parameters: { size: number; body8bit: boolean; smtputf8: boolean; requireTls: boolean; ret?: string; envid?: string }
}

export type Answer =
  | { kind: 'accepted'; reply: string }
  | { kind: 'refused'; refusal: Refusal }
  /** The session ended without an answer. After the final dot nobody knows whether the message was taken — RFC 1047. */
  | { kind: 'broken'; reason: string; afterDot: boolean }

export interface Session {
  readonly peer: Peer
  /** One transaction. The answers are in the order of its recipients. */
  send(transaction: Transaction, body: () => AsyncIterable<Uint8Array>): Promise<Answer[]>
  /** Gives it back; it is closed, or kept for the next message to the same target. */
  release(): void
}

/** No session with this target. The next one is tried. */
export class SessionFailed extends Error {
  override readonly name = 'SessionFailed'
  readonly status: `4.${number}.${number}`
  readonly reply: string | undefined

  constructor(status: `4.${number}.${number}`, message: string, options?: ErrorOptions & { reply?: string }) {
    super(message, options)
    this.status = status
    this.reply = options?.reply
  }
}

/** TLS that the message requires cannot be had with this target — RFC 8689 §4.2.1. */
export class TlsRequired extends Error {
  override readonly name = 'TlsRequired'
}

export type OpenSession = (target: Target, options: { requireTls: boolean }) => Promise<Session>
