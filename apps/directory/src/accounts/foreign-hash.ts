/**
 * Password hashes of other mail systems, taken over as they are: Dovecot's schemes and the crypt formats of passwd files. They
 * let their owner in once, and are replaced by our own then, because only then is the password known.
 *
 * `{SCHEME}data`, `{SCHEME.hex}data`, `{SCHEME.b64}data`, or a crypt string that begins with `$`.
 */
import { argon2Sync, createHash, pbkdf2Sync, timingSafeEqual } from 'node:crypto'

import { scramKeysOf } from '@postbus/sasl'
import apacheMd5 from 'apache-md5'
import bcrypt from 'bcryptjs'
import { verify as verifyShaCrypt } from 'unixcrypt'

/** The package exports the function itself, whatever its types say. */
const md5Crypt = apacheMd5 as unknown as (password: string, salt: string) => string

/** Whether it is the hash of a password, given as typed. */
type Verifier = (password: string) => boolean | Promise<boolean>

// A hash is computed on a thread of its own, but somebody waits for it: what takes longer than seconds is not taken over.
const MAX_SHA_CRYPT_ROUNDS = 1_000_000
const MAX_BCRYPT_COST = 15
const MAX_PBKDF2_ROUNDS = 5_000_000
const MAX_ARGON2_MEMORY_KIB = 1024 * 1024
const MAX_ARGON2_PASSES = 50

/** @returns null where it is no hash of a kind we know, or takes too long to compute */
export function foreignVerifier(stored: string): Verifier | null {
  const [, scheme, encoding, data] = /^\{([A-Za-z0-9-]+)(?:\.(hex|b64|base64))?\}(.+)$/is.exec(stored) ?? []
  if (scheme === undefined || data === undefined) return crypted(stored)
  const name = scheme.toUpperCase()
  const digest = digests.get(name)
  if (digest !== undefined) return digested(digest, bytes(data, encoding ?? digest.encoding))
  if (name === 'PBKDF2') return pbkdf2(data)
  if (name === 'SCRAM-SHA-256') return scram(data)
  return CRYPT_SCHEMES.has(name) ? crypted(data) : null
}

const CRYPT_SCHEMES = new Set([
  'CRYPT',
  'MD5-CRYPT',
  'SHA256-CRYPT',
  'SHA512-CRYPT',
  'BLF-CRYPT',
  'ARGON2I',
  'ARGON2ID',
])

function crypted(stored: string): Verifier | null {
  const kind = /^\$([a-z0-9]+)\$/i.exec(stored)?.[1]
  switch (kind) {
    case '1':
    case 'apr1':
      // The library takes a character for an octet.
      return (password) => same(md5Crypt(Buffer.from(password).toString('latin1'), stored), stored)
    case '5':
    case '6': {
      const [, rounds = '5000', hash] = /^\$[56]\$(?:rounds=(\d+)\$)?[^$]{0,16}\$([./A-Za-z0-9]+)$/.exec(stored) ?? []
      if (hash === undefined || Number(rounds) > MAX_SHA_CRYPT_ROUNDS) return null
      return (password) => verifyShaCrypt(password, stored)
    }
    case '2a':
    case '2b':
    case '2y': {
      const cost = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(stored)?.[1]
      if (cost === undefined || Number(cost) > MAX_BCRYPT_COST) return null
      return (password) => bcrypt.compareSync(password, stored)
    }
    case 'argon2i':
    case 'argon2id':
      return argon2(stored)
    default:
      return null
  }
}

interface Digest {
  algorithm: string
  encoding: string
}

const digest = (algorithm: string, encoding = 'b64'): Digest => ({ algorithm, encoding })

/** What is behind the digest is its salt. */
const digests: ReadonlyMap<string, Digest> = new Map([
  ['PLAIN-MD5', digest('md5', 'hex')],
  ['LDAP-MD5', digest('md5')],
  ['SMD5', digest('md5')],
  ['SHA', digest('sha1')],
  ['SHA1', digest('sha1')],
  ['SSHA', digest('sha1')],
  ['SHA256', digest('sha256')],
  ['SSHA256', digest('sha256')],
  ['SHA512', digest('sha512')],
  ['SSHA512', digest('sha512')],
])

const sizes: Readonly<Record<string, number>> = { md5: 16, sha1: 20, sha256: 32, sha512: 64 }

function digested({ algorithm }: Digest, stored: Buffer): Verifier | null {
  const size = sizes[algorithm] ?? 0
  if (stored.length < size) return null
  const salt = stored.subarray(size)
  return (password) => same(createHash(algorithm).update(password).update(salt).digest(), stored.subarray(0, size))
}

/** `$1$salt$rounds$hash`: HMAC-SHA1, as Dovecot writes it. */
function pbkdf2(data: string): Verifier | null {
  const [, salt, rounds, hash] = /^\$1\$([^$]+)\$(\d+)\$([0-9a-f]{40})$/i.exec(data) ?? []
  if (salt === undefined || hash === undefined || Number(rounds) > MAX_PBKDF2_ROUNDS) return null
  const stored = Buffer.from(hash, 'hex')
  return (password) => same(pbkdf2Sync(password, salt, Number(rounds), stored.length, 'sha1'), stored)
}

/** `iterations,salt,stored key,server key` — RFC 5802 §3. */
function scram(data: string): Verifier | null {
  const [iterations, salt, storedKey] = data.split(',')
  if (salt === undefined || storedKey === undefined) return null
  const rounds = Number(iterations)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MAX_PBKDF2_ROUNDS) return null
  return async (password) => {
    const keys = await scramKeysOf(password, Buffer.from(salt, 'base64'), rounds)
    return same(keys.storedKey, Buffer.from(storedKey, 'base64'))
  }
}

function argon2(phc: string): Verifier | null {
  const [, kind, memory, passes, parallelism, salt, hash] =
    /^\$(argon2id?)\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc) ?? []
  if (salt === undefined || hash === undefined) return null
  if (Number(memory) > MAX_ARGON2_MEMORY_KIB || Number(passes) > MAX_ARGON2_PASSES) return null
  const stored = Buffer.from(hash, 'base64')
  const parameters = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) }
  const nonce = Buffer.from(salt, 'base64')
  const algorithm = kind === 'argon2id' ? 'argon2id' : 'argon2i'
  return (message) => same(argon2Sync(algorithm, { message, nonce, tagLength: stored.length, ...parameters }), stored)
}

const bytes = (data: string, encoding: string): Buffer =>
  Buffer.from(data, encoding.toLowerCase() === 'hex' ? 'hex' : 'base64')

function same(made: string | Uint8Array, stored: string | Uint8Array): boolean {
  const [one, other] = [Buffer.from(made), Buffer.from(stored)]
  return one.length === other.length && timingSafeEqual(one, other)
}
