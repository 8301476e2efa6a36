/**
 * Where a key's file lies below the store's directory.
 *
 * Directories end in `~`, which no key may contain: so `a` and `a/b` can both exist, and no key can name the store's own
 * directories. Flat keys are spread over 256 directories; keys with slashes bring directories of their own.
 */
import { createHash } from 'node:crypto'

import { InvalidBlobKey } from './blobs.ts'

/** Octets; every level must fit a file name (255) with its `~`. */
const MAX_LEVEL = 200
const MAX_KEY = 1000
const LEVEL = /^[A-Za-z0-9._-]+$/

/** Where unfinished blobs are written. */
export const TEMPORARY = 'tmp~~'

const SHARD = /^shard~[0-9a-f]{2}$/

export interface KeyPath {
  /** Relative to the store, without a slash at the end. */
  directory: string
  name: string
}

/** @throws InvalidBlobKey */
export function keyPath(key: string): KeyPath {
  const levels = key.split('/')
  const name = levels.pop() ?? ''
  if (key.length > MAX_KEY || ![...levels, name].every(isLevel)) {
    throw new InvalidBlobKey(`not a key: ${JSON.stringify(key.slice(0, 100))}`)
  }
  return { directory: levels.length > 0 ? directoryOf(levels) : shardOf(name), name }
}

/** The directory that keys with this prefix begin in, and what the names in it must begin with. */
export function prefixPath(prefix: string): { levels: string[]; begin: string } {
  const levels = prefix.split('/')
  const begin = levels.pop() ?? ''
  if (!levels.every(isLevel)) throw new InvalidBlobKey(`not a prefix: ${JSON.stringify(prefix.slice(0, 100))}`)
  return { levels, begin }
}

export const directoryOf = (levels: readonly string[]): string => levels.map((level) => `${level}~`).join('/')

/** What a directory of the store holds: flat keys, a level of longer keys, or nothing that is a key. */
export function directoryKind(name: string): { kind: 'shard' } | { kind: 'level'; level: string } | { kind: 'other' } {
  if (SHARD.test(name)) return { kind: 'shard' }
  const level = name.endsWith('~') ? name.slice(0, -1) : ''
  return isLevel(level) ? { kind: 'level', level } : { kind: 'other' }
}

function shardOf(name: string): string {
  return `shard~${createHash('sha1').update(name).digest('hex').slice(0, 2)}`
}

function isLevel(text: string): boolean {
  return text.length <= MAX_LEVEL && LEVEL.test(text) && text !== '.' && text !== '..'
}
