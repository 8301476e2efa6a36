/**
 * What a mechanism is given and what comes of it. A mechanism speaks with the client and asks a `Verifier`; it decides nothing
 * but whether the client kept to the grammar and is bound to this very channel.
 *
 * STANDARDS  RFC 4422 (SASL)
 */

/** What the verifier says. The client is answered after `delayMs`, in the same words whether or not the account exists. */
export type Verdict<Granted> =
  | { kind: 'accepted'; granted: Granted }
  /** `expired`: it was good once, which only whoever was given it can show. */
  | { kind: 'refused'; delayMs: number; expired?: true | undefined }
  | { kind: 'throttled'; retryAfterMs: number }

/** Who decides. Every method throws when nobody can be asked. */
export interface Verifier<Granted> {
  password(claim: { username: string; password: string }): Promise<Verdict<Granted>>
  scramStart(claim: { username: string; clientNonce: string }): Promise<ScramStart>
  scramFinish(finish: ScramFinish): Promise<Verdict<{ granted: Granted; serverSignature: Uint8Array }>>
  /** @param claim.username '' when the client names nobody: then the token does */
  bearer(claim: { username: string; token: string }): Promise<Verdict<Granted>>
}

export interface ScramStart {
  /** server-first-message — RFC 5802 §7. */
  serverFirst: string
  /** The verifier's own memory of it, opaque, to be handed back. */
  challenge: string
}

export interface ScramFinish {
  challenge: string
  clientFirstBare: string
  clientFinalWithoutProof: string
  proof: Uint8Array
}

export interface Channel {
  /** The data that binds to this TLS session; null where there is no TLS, or the type is none we have. */
  channelBinding(type: string): Uint8Array | null
}

export interface Exchange<Granted> {
  /** The client's first octets, if they came with the command. */
  initial: Uint8Array | undefined
  channel: Channel
  verifier: Verifier<Granted>
  /** Sends a challenge and waits for the response. @throws SaslFault */
  challenge(octets: Uint8Array): Promise<Uint8Array>
}

export type Mechanism = <Granted>(exchange: Exchange<Granted>) => Promise<Verdict<Granted>>

/** The client did not keep to the exchange. `notAuthorized`: it wants to act for somebody else, which nobody may. */
export class SaslFault extends Error {
  override readonly name = 'SaslFault'
  readonly kind: 'cancelled' | 'malformed' | 'notAuthorized'

  constructor(kind: SaslFault['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

export const malformed = (what: string): SaslFault => new SaslFault('malformed', `The response is not ${what}`)

/** An authorization identity that is not the one who logged in: said to nobody else — RFC 5530 §3 (AUTHORIZATIONFAILED). */
export function requireSelf(authorization: string, username: string): void {
  if (authorization !== '' && authorization !== username)
    throw new SaslFault('notAuthorized', 'You may only act for yourself')
}

/** @throws SaslFault */
export function utf8Of(octets: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets)
  } catch {
    throw malformed('UTF-8')
  }
}

/**
 * A line of an exchange in IMAP and POP3, decoded — RFC 4422 §4, RFC 4648 §4.
 * @param line as it came; null when it was too long or the client went
 */
export function decodeResponse(line: string | null): Buffer {
  if (line === null) throw new SaslFault('malformed', 'The response is too long')
  if (line === '*') throw new SaslFault('cancelled', 'Cancelled, as you asked')
  const octets = Buffer.from(line, 'base64')
  if (unpadded(octets.toString('base64')) !== unpadded(line)) throw malformed('base64')
  return octets
}

/** What came with the command; `=` stands for an empty response — RFC 4959 §3, RFC 5034 §4. */
export function decodeInitial(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : decodeResponse(text === '=' ? '' : text)
}

const unpadded = (base64: string): string => base64.replace(/=+$/, '')
