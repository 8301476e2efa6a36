/**
 * One login: who, and is it the password. An account that is unknown, disabled or without a password costs the same time and
 * gets the same answer as a wrong password; only the log says which it was.
 */
import { parseName } from '../addresses/names.ts'
import type { AccountRecord, Credential, DomainRecord, Name } from '../store.ts'
import { type Hasher, HasherBusy } from './hasher.ts'
import type { LoginMemory } from './login-memory.ts'
import {
  type HashParameters,
  hashPassword,
  isOurs,
  isOutdated,
  preparePassword,
  scramKeys,
  verifyPassword,
} from './password.ts'
import { BUSY_RETRY_MS, type Throttle } from './throttle.ts'

export interface LoginPorts {
  domains(names: readonly string[]): Promise<DomainRecord[]>
  accountNamed(name: Name): Promise<AccountRecord | undefined>
  credential(account: string): Promise<Credential | undefined>
  renewCredential(account: string, from: string, to: Credential): Promise<void>
}

export interface LoginTools {
  throttle: Throttle
  hasher: Hasher
  memory: LoginMemory
  parameters: HashParameters
  scramIterations: number
  /** Whether a hash of another system is that of the password as typed. */
  verifyForeignHash(password: string, stored: string): Promise<boolean>
  /** A hash of a password nobody has, for accounts that do not exist. */
  dummyHash: string
}

export type LoginCause =
  | 'noSuchAccount'
  | 'disabled'
  | 'noPassword'
  /** A hash of another system lets in whoever sends the password; SCRAM works after that. */
  | 'noScramKeys'
  | 'wrongPassword'
  /** Of a SCRAM exchange: forged, or too old. */
  | 'challengeInvalid'
  /** Of the issuer: forged, for somebody else. */
  | 'tokenInvalid'
  | 'tokenExpired'

export type Login =
  | { kind: 'accepted'; account: AccountRecord }
  | { kind: 'refused'; delayMs: number; cause: LoginCause }
  | { kind: 'throttled'; retryAfterMs: number; by: 'pair' | 'address' | 'account' | 'load' }

export async function logIn(
  { username, password, clientAddress }: { username: string; password: string; clientAddress: string },
  ports: LoginPorts,
  tools: LoginTools,
): Promise<Login> {
  return attempted(username, clientAddress, ports, tools, (name) =>
    checkPassword(name, { typed: password, prepared: preparePassword(password) }, ports, tools),
  )
}

/** Counts the attempt, whatever it is made with, and what came of it. */
export async function attempted(
  username: string,
  clientAddress: string,
  ports: Pick<LoginPorts, 'domains'>,
  { throttle }: Pick<LoginTools, 'throttle'>,
  check: (name: Name | null) => Promise<AccountRecord | LoginCause>,
): Promise<Login> {
  const name = await loginName(username, ports)
  const admission = await throttle.admit(
    name ? `${name.localPart}@${name.domain}` : username.toLowerCase(),
    clientAddress,
  )
  if (admission.kind === 'throttled') return admission
  const { attempt } = admission
  try {
    const checked = await check(name)
    if (typeof checked === 'string') return { kind: 'refused', delayMs: attempt.failed(), cause: checked }
    attempt.succeeded()
    return { kind: 'accepted', account: checked }
  } catch (error) {
    attempt.withdraw()
    if (error instanceof HasherBusy) return { kind: 'throttled', retryAfterMs: BUSY_RETRY_MS, by: 'load' }
    throw error
  }
}

/** A username is the account's address, through an alias domain too. Null where it is no address. */
export async function loginName(username: string, ports: Pick<LoginPorts, 'domains'>): Promise<Name | null> {
  const name = parseName(username.trim())
  if (name === null) return null
  const [domain] = await ports.domains([name.domain])
  return domain?.kind === 'alias' && domain.target !== null ? { ...name, domain: domain.target } : name
}

interface Password {
  typed: string
  /** Null where preparation prohibits it, so that nobody can have it. */
  prepared: string | null
}

async function checkPassword(
  name: Name | null,
  { typed, prepared: password }: Password,
  ports: LoginPorts,
  { memory, hasher, dummyHash, parameters, scramIterations, verifyForeignHash }: LoginTools,
): Promise<AccountRecord | LoginCause> {
  const account = name === null ? undefined : await ports.accountNamed(name)
  const credential = account?.enabled ? await ports.credential(account.account) : undefined
  if (account === undefined || credential === undefined || password === null) {
    await hasher.run(() => verifyPassword(password ?? '', dummyHash))
    if (account === undefined) return 'noSuchAccount'
    if (!account.enabled) return 'disabled'
    return password === null ? 'wrongPassword' : 'noPassword'
  }
  if (memory.knows(account.account, account.credentialVersion, password)) return account
  const { passwordHash, scram } = credential
  const right = await hasher.run(async () => {
    // Of many clients that come at once with the same password, one computes it.
    if (memory.knows(account.account, account.credentialVersion, password)) return true
    const verified = isOurs(passwordHash)
      ? await verifyPassword(password, passwordHash)
      : await verifyForeignHash(typed, passwordHash)
    if (verified) memory.remember(account.account, account.credentialVersion, password)
    return verified
  })
  if (!right) return 'wrongPassword'
  if (isOutdated(passwordHash, parameters) || scram?.iterations !== scramIterations) {
    const renewed = await hasher.run(async () => ({
      passwordHash: await hashPassword(password, parameters),
      scram: await scramKeys(password, scramIterations),
    }))
    await ports.renewCredential(account.account, passwordHash, renewed)
  }
  return account
}
