/**
 * Key pairs for DKIM: made here, or read from a PEM that an operator brings.
 *
 * STANDARDS  RFC 8301 §3.2 (RSA lengths), RFC 8463 (Ed25519)
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

export const signingAlgorithms = ['rsa', 'ed25519'] as const
export type SigningAlgorithm = (typeof signingAlgorithms)[number]

export interface KeyPair {
  algorithm: SigningAlgorithm
  /** Length of an RSA modulus; 256 for Ed25519. */
  bits: number
  /** PKCS #8, PEM. */
  privateKey: string
  /** Base64, as `p=` of a key record holds it. */
  publicKey: string
}

/** RFC 8301 §3.2: signers SHOULD use 2048 or more; longer ones leave the TXT record too large for many a form. */
const RSA_BITS = 2048
/** RFC 8301 §3.2: verifiers need not accept others. */
const MIN_RSA_BITS = 1024
const MAX_RSA_BITS = 4096
const ED25519_BITS = 256
/** RFC 8410 §4: what a SubjectPublicKeyInfo has in front of the 32 octets that are the key. */
const ED25519_PREFIX_BYTES = 12

const generate = promisify(generateKeyPair)

export async function keyPair(algorithm: SigningAlgorithm): Promise<KeyPair> {
  const { privateKey } = await (algorithm === 'rsa'
    ? generate('rsa', { modulusLength: RSA_BITS })
    : generate('ed25519', {}))
  return pairOf(privateKey, algorithm)
}

/** @returns what is wrong with it, in words, where it cannot sign */
export function readPrivateKey(pem: string): KeyPair | { fault: string } {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    return { fault: 'no private key in PEM without a passphrase' }
  }
  if (key.asymmetricKeyType === 'ed25519') return pairOf(key, 'ed25519')
  if (key.asymmetricKeyType !== 'rsa') return { fault: 'neither an RSA nor an Ed25519 key' }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS)
    return { fault: `RSA with ${bits} bits; verifiers take ${MIN_RSA_BITS} to ${MAX_RSA_BITS}` }
  return pairOf(key, 'rsa')
}

function pairOf(key: KeyObject, algorithm: SigningAlgorithm): KeyPair {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  return {
    algorithm,
    bits: key.asymmetricKeyDetails?.modulusLength ?? ED25519_BITS,
    privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    // RFC 8463 §4.2: the bare key; RFC 6376 §3.6.1 and its examples: SubjectPublicKeyInfo.
    publicKey: (algorithm === 'rsa' ? spki : spki.subarray(ED25519_PREFIX_BYTES)).toString('base64'),
  }
}
