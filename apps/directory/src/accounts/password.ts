/**
 * Passwords as they are kept: argon2id in a PHC string, the parameters beside the hash, so that raising them needs nobody's
 * password; and the SCRAM keys, which cannot be made later.
 *
 * Passwords are prepared with SASLprep before either (RFC 4616 §2, RFC 5802 §2.2), code points newer than Unicode 3.2
 * allowed: a password typed on another keyboard or system is the same password. One that SASLprep prohibits (control
 * characters, mixed directions) cannot be set.
 *
 * STANDARDS  RFC 9106 (argon2id), RFC 4013 (SASLprep), RFC 5802, RFC 7677 (SCRAM-SHA-256)
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

import saslprep from '@mongodb-js/saslprep'
import { scramKeysOf } from '@postbus/sasl'

import type { ScramCredential } from '../store.ts'

const argon2Async = promisify(argon2)

export interface HashParameters {
  memoryKiB: number
  passes: number
}

export const SALT_BYTES = 16 // RFC 9106 §3.1: recommended
const TAG_BYTES = 32
const PARALLELISM = 1

/** What SASLprep makes of it; null where it prohibits the password. */
export function preparePassword(password: string): string | null {
  try {
    const prepared = saslprep(password, { allowUnassigned: true })
    return prepared === '' ? null : prepared
  } catch {
    return null
  }
}

/** @param password prepared */
export async function hashPassword(password: string, { memoryKiB, passes }: HashParameters): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await argon2id(password, { salt, memoryKiB, passes, parallelism: PARALLELISM, tagBytes: TAG_BYTES })
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${PARALLELISM}$${unpadded(salt)}$${unpadded(hash)}`
}

/** @param password prepared */
export async function verifyPassword(password: string, phc: string): Promise<boolean> {
  const { hash, ...parameters } = parsePhc(phc)
  return timingSafeEqual(await argon2id(password, { ...parameters, tagBytes: hash.length }), hash)
}

/** Or that of another system, which foreign-hash.ts knows. */
export const isOurs = (hash: string): boolean => PHC.test(hash)

/** Not made as it would be now. */
export function isOutdated(hash: string, { memoryKiB, passes }: HashParameters): boolean {
  if (!isOurs(hash)) return true
  const parameters = parsePhc(hash)
  return parameters.memoryKiB !== memoryKiB || parameters.passes !== passes
}

/** RFC 5802 §3: what a server keeps. @param password prepared */
export async function scramKeys(password: string, iterations: number): Promise<ScramCredential> {
  const salt = randomBytes(SALT_BYTES)
  return { salt, iterations, ...(await scramKeysOf(password, salt, iterations)) }
}

interface Argon2 extends HashParameters {
  salt: Buffer
  parallelism: number
}

function argon2id(password: string, { salt, memoryKiB, passes, parallelism, tagBytes }: Argon2 & { tagBytes: number }) {
  const parameters = { message: password, nonce: salt, parallelism, tagLength: tagBytes, memory: memoryKiB, passes }
  return argon2Async('argon2id', parameters)
}

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

function parsePhc(phc: string): Argon2 & { hash: Buffer } {
  const [, memory, passes, parallelism, salt, hash] = PHC.exec(phc) ?? []
  if (salt === undefined || hash === undefined) throw new Error('not an argon2id PHC string')
  return {
    memoryKiB: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
}

/** PHC strings carry base64 without padding. */
const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')
