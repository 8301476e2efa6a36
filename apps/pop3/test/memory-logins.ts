/** The directory's part of a login, in memory: passwords, SCRAM proofs and access tokens. */
import type { Granted } from '@postbus/directory-client'
import { scramKeysOf, scramServerFirst, verifyScramProof, type Verdict, type Verifier } from '@postbus/sasl'

const PASSWORDS = new Map([
  ['mrose@example.org', 'tan staaf'],
  ['rosé@example.org', 'tan staaf'],
  // RFC 7677 §3
  ['user', 'pencil'],
])
// RFC 7628 §4.1
const BEARERS = new Map([['vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==', 'user']])

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const ITERATIONS = 4096
/** Always the same, so that conversations can be written down: those of RFC 7677 §3. */
const NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'

const REFUSED = { kind: 'refused' as const, delayMs: 0 }

export const memoryLogins: Verifier<Granted> = {
  async password({ username, password }) {
    if (username === 'throttled@example.org') return { kind: 'throttled', retryAfterMs: 1000 }
    if (username === 'down@example.org') throw new Error('nobody answers')
    return PASSWORDS.get(username) === password ? accepted(username) : REFUSED
  },

  async scramStart({ username, clientNonce }) {
    const serverFirst = scramServerFirst(clientNonce + NONCE, { salt: SALT, iterations: ITERATIONS })
    return { serverFirst, challenge: JSON.stringify({ username, serverFirst }) }
  },

  async scramFinish({ challenge, ...messages }) {
    const { username, serverFirst } = JSON.parse(challenge)
    const keys = await scramKeysOf(PASSWORDS.get(username) ?? '', SALT, ITERATIONS)
    const serverSignature = verifyScramProof(keys, { ...messages, serverFirst })
    return serverSignature === null
      ? REFUSED
      : { kind: 'accepted', granted: { granted: granted(username), serverSignature } }
  },

  async bearer({ username, token }) {
    const bearer = BEARERS.get(token)
    return bearer === undefined || (username !== '' && username !== bearer) ? REFUSED : accepted(bearer)
  },
}

const accepted = (username: string): Verdict<Granted> => ({ kind: 'accepted', granted: granted(username) })

const granted = (username: string): Granted => ({
  ...{ account: 'a0000001', address: username, token: 'token', tokenExpiresInMs: 600_000 },
})
