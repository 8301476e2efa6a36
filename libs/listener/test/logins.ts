/** Who may log in here: jones with "secret", and user with "pencil" or the token of RFC 7628 §4.1. */
import { scramKeysOf, scramServerFirst, verifyScramProof, type Verdict, type Verifier } from '@postbus/sasl'
import { replies } from '@postbus/smtp'

import type { Login, SmtpHandlers } from '../src/index.ts'

const PASSWORDS = new Map([
  ['jones', 'secret'],
  // RFC 7677 §3
  ['user', 'pencil'],
])
const TOKEN = 'vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg=='

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const ITERATIONS = 4096
/** Always the same, so that conversations can be written down: those of RFC 7677 §3. */
const NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'

const REFUSED = { kind: 'refused' as const, delayMs: 0 }
const loginOf = (username: string): Login => ({ account: 'a0000001', username })

const verdict = (username: string, accepted: boolean): Verdict<Login> =>
  accepted ? { kind: 'accepted', granted: loginOf(username) } : REFUSED

const verifier: Verifier<Login> = {
  password: async ({ username, password }) => verdict(username, PASSWORDS.get(username) === password),

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
      : { kind: 'accepted', granted: { granted: loginOf(username), serverSignature } }
  },

  bearer: async ({ username, token }) => verdict('user', token === TOKEN && ['', 'user'].includes(username)),
}

export const theyLogIn: Partial<SmtpHandlers> = {
  async authenticate(attempt) {
    const answer = await attempt(verifier)
    if (answer.kind !== 'accepted') throw replies.badCredentials()
    return answer.granted
  },
}
