/**
 * A SCRAM login: the directory makes the challenge and checks the proof; the front end carries messages and never learns the
 * password or a key. Between the two requests nothing is kept here: what must not be forged travels in a signed challenge, so
 * that any process can go on, and none can be filled with exchanges nobody ends.
 *
 * Whoever asks about an account that does not exist gets a salt all the same, always the same one, and learns nothing.
 *
 * STANDARDS  RFC 5802 §5, §9; RFC 7677 §4
 */
import { createHmac, randomBytes } from 'node:crypto'

import { type ScramProof, scramServerFirst, verifyScramProof } from '@postbus/sasl'

import { formatName } from '../addresses/names.ts'
import type { Name } from '../store.ts'
import { attempted, type Login, type LoginCause, type LoginPorts, loginName, type LoginTools } from './log-in.ts'
import { SALT_BYTES } from './password.ts'
import type { Tokens } from './tokens.ts'

const NONCE_BYTES = 18
/** Longer than a user thinks about a password prompt that is open already. */
const CHALLENGE_LIFETIME_MS = 120_000
const CHALLENGE_AUDIENCE = 'scram'
const SERVER_FIRST_CLAIM = 'sf'

export interface ScramTools {
  tokens: Tokens
  /** Made once for the database: salts of accounts that do not exist come from it. */
  secret: Uint8Array
  iterations: number
}

export async function startScram(
  { username, clientNonce }: { username: string; clientNonce: string },
  ports: LoginPorts,
  { tokens, secret, iterations }: ScramTools,
): Promise<{ serverFirst: string; challenge: string }> {
  const name = await loginName(username, ports)
  const credential = name === null ? undefined : await credentialOf(name, ports)
  const made = credential?.scram ?? { salt: madeUpSalt(secret, name, username), iterations }
  const serverFirst = scramServerFirst(`${clientNonce}${randomBytes(NONCE_BYTES).toString('base64url')}`, made)
  const claims = { [SERVER_FIRST_CLAIM]: serverFirst }
  return { serverFirst, challenge: await tokens.sign(CHALLENGE_AUDIENCE, username, claims, CHALLENGE_LIFETIME_MS) }
}

export interface ScramEnd {
  challenge: string
  clientFirstBare: string
  clientFinalWithoutProof: string
  proof: Uint8Array
  clientAddress: string
}

export interface ScramEnded {
  /** Whom the challenge was made for. */
  username: string
  login: Login
  /** Means something only when the login was accepted. */
  serverSignature: Uint8Array
}

export async function finishScram(
  { challenge, clientAddress, ...messages }: ScramEnd,
  ports: LoginPorts,
  tools: Pick<LoginTools, 'throttle'> & Pick<ScramTools, 'tokens'>,
): Promise<ScramEnded> {
  const claims = await tools.tokens.verify(challenge, CHALLENGE_AUDIENCE, [SERVER_FIRST_CLAIM])
  let serverSignature: Uint8Array = new Uint8Array(0)
  if (claims === null) {
    // Forged, or thought about for too long.
    return { username: '', login: { kind: 'refused', delayMs: 0, cause: 'challengeInvalid' }, serverSignature }
  }
  const username = claims.sub ?? ''
  const serverFirst = String(claims[SERVER_FIRST_CLAIM])
  const login = await attempted(username, clientAddress, ports, tools, async (name) => {
    const checked = await checkProof(name, { ...messages, serverFirst }, ports)
    if (typeof checked === 'string') return checked
    serverSignature = checked.signature
    return checked.account
  })
  return { username, login, serverSignature }
}

async function checkProof(name: Name | null, messages: ScramProof, ports: LoginPorts) {
  const account = name === null ? undefined : await ports.accountNamed(name)
  const credential = account && (await ports.credential(account.account))
  if (account === undefined) return 'noSuchAccount' satisfies LoginCause
  if (!account.enabled) return 'disabled' satisfies LoginCause
  if (credential === undefined) return 'noPassword' satisfies LoginCause
  if (credential.scram === null) return 'noScramKeys' satisfies LoginCause
  const signature = verifyScramProof(credential.scram, messages)
  return signature === null ? ('wrongPassword' satisfies LoginCause) : { account, signature }
}

async function credentialOf(name: Name, ports: LoginPorts) {
  const account = await ports.accountNamed(name)
  // Asked for nobody, too: both cases take the same time.
  return ports.credential(account?.account ?? '')
}

/** The same for an account under all its names, as a real one's is. */
function madeUpSalt(secret: Uint8Array, name: Name | null, username: string): Buffer {
  const who = name === null ? username.toLowerCase() : formatName(name)
  return createHmac('sha256', secret).update(who).digest().subarray(0, SALT_BYTES)
}
