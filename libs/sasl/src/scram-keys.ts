/**
 * SCRAM's arithmetic: what is kept of a password, and whether a proof belongs to it.
 *
 * STANDARDS  RFC 5802 §3, RFC 7677
 */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const pbkdf2Async = promisify(pbkdf2)

/** SHA-256. */
const KEY_BYTES = 32

export interface ScramKeys {
  storedKey: Uint8Array
  serverKey: Uint8Array
}

/** @param password prepared (SASLprep) */
export async function scramKeysOf(password: string, salt: Uint8Array, iterations: number): Promise<ScramKeys> {
  const salted = await pbkdf2Async(password, salt, iterations, KEY_BYTES, 'sha256')
  return { storedKey: sha256(hmac(salted, 'Client Key')), serverKey: hmac(salted, 'Server Key') }
}

/** server-first-message — RFC 5802 §7. */
export function scramServerFirst(
  nonce: string,
  { salt, iterations }: { salt: Uint8Array; iterations: number },
): string {
  return `r=${nonce},s=${Buffer.from(salt).toString('base64')},i=${iterations}`
}

export interface ScramProof {
  clientFirstBare: string
  serverFirst: string
  clientFinalWithoutProof: string
  proof: Uint8Array
}

/** The server's signature when the proof is right, else null. */
export function verifyScramProof({ storedKey, serverKey }: ScramKeys, messages: ScramProof): Buffer | null {
  const { clientFirstBare, serverFirst, clientFinalWithoutProof, proof } = messages
  if (proof.length !== KEY_BYTES) return null
  const authMessage = `${clientFirstBare},${serverFirst},${clientFinalWithoutProof}`
  const clientSignature = hmac(storedKey, authMessage)
  const clientKey = proof.map((octet, index) => octet ^ (clientSignature[index] ?? 0))
  return timingSafeEqual(sha256(clientKey), storedKey) ? hmac(serverKey, authMessage) : null
}

const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest()
const hmac = (key: Uint8Array, data: string): Buffer => createHmac('sha256', key).update(data).digest()
