/** What is kept of a new password: made before the change that stores it, because it takes long. */
import { invalid } from '../refusal.ts'
import type { Credential } from '../store.ts'
import type { Hasher } from './hasher.ts'
import { foreignVerifier } from './foreign-hash.ts'
import { type HashParameters, hashPassword, preparePassword, scramKeys } from './password.ts'

export interface CredentialSettings {
  parameters: HashParameters
  scramIterations: number
  minLength: number
}

/** @param hash of another system; @throws Refusal where we could never tell whether a password fits it */
export function takeOver(hash: string): Credential {
  if (foreignVerifier(hash) === null) throw invalid('passwordHash', 'of a kind that is not known here, or too costly')
  return { passwordHash: hash, scram: null }
}

export async function makeCredential(
  password: string,
  { parameters, scramIterations, minLength }: CredentialSettings,
  hasher: Hasher,
): Promise<Credential> {
  const prepared = preparePassword(password)
  if (prepared === null) throw invalid('password', 'control characters and mixed directions cannot be used (SASLprep)')
  if ([...prepared].length < minLength) throw invalid('password', `at least ${minLength} characters`)
  return hasher.run(async () => ({
    passwordHash: await hashPassword(prepared, parameters),
    scram: await scramKeys(prepared, scramIterations),
  }))
}
