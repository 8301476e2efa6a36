/**
 * SASL in POP3: which mechanisms there are, and how lines of an exchange are read. A mechanism speaks with the client and asks a
 * verifier; it decides nothing but whether the client kept to the grammar.
 *
 * STANDARDS  RFC 5034 §4, RFC 4616 (PLAIN)
 */

/** What the verifier says. The client is answered after `delayMs`, in the same words whether or not the account exists. */
export type Verdict<Granted> =
  { kind: 'accepted'; granted: Granted } | { kind: 'refused'; delayMs: number } | { kind: 'throttled' }

/** Who decides. Throws when nobody can be asked. */
export interface Verifier<Granted> {
  password(claim: { username: string; password: string }): Promise<Verdict<Granted>>
}

export interface Exchange<Granted> {
  /** The client's first octets, if they came with the command. */
  initial: Uint8Array | undefined
  verifier: Verifier<Granted>
  /** Sends a challenge and waits for the response. @throws SaslFault */
  challenge(octets: Uint8Array): Promise<Uint8Array>
}

export type Mechanism = <Granted>(exchange: Exchange<Granted>) => Promise<Verdict<Granted>>

/** The client cancelled, did not keep to the exchange, or wants to act for somebody else. */
export class SaslFault extends Error {
  override readonly name = 'SaslFault'
}

const plain: Mechanism = async ({ initial, verifier, challenge }) => {
  const response = utf8Of(initial ?? (await challenge(new Uint8Array(0))))
  const [authorization = '', username, password, ...more] = response.split('\0')
  if (!username || password === undefined || more.length > 0) throw new SaslFault('Not a PLAIN response')
  if (authorization !== '' && authorization !== username) {
    throw new SaslFault('Acting for another user is not possible')
  }
  return verifier.password({ username, password })
}

export const mechanisms: ReadonlyMap<string, Mechanism> = new Map([['PLAIN', plain]])

/** @param line null when the client is gone */
export function decodeResponse(line: string | null): Uint8Array {
  if (line === null || line === '*') throw new SaslFault('Cancelled')
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(line)) {
    throw new SaslFault('Not base64')
  }
  return Buffer.from(line, 'base64')
}

/** What came with the command; `=` stands for an empty response — RFC 5034 §4. */
export function decodeInitial(text: string | undefined): Uint8Array | undefined {
  return text === undefined ? undefined : decodeResponse(text === '=' ? '' : text)
}

function utf8Of(octets: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets)
  } catch {
    throw new SaslFault('Not UTF-8')
  }
}
