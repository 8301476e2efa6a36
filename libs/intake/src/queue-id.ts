/**
 * Queue ids: ULIDs, so that they sort by time and the spool finds a record's segment by its id. Ascending within a process;
 * 80 random bits keep two processes apart.
 */
import { randomBytes } from 'node:crypto'

import { QueueId } from '@postbus/contracts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const TIME_CHARS = 10
const RANDOM_CHARS = 16

export function queueIds(now: () => number, random: (bytes: number) => Uint8Array = randomBytes): () => QueueId {
  let lastMs = -1
  let lastRandom = 0n
  return () => {
    // A clock that steps back must not make an id smaller than the one before.
    const ms = Math.max(now(), lastMs)
    lastRandom = ms === lastMs ? lastRandom + 1n : numberIn(random((RANDOM_CHARS * 5) / 8)) >> 1n
    lastMs = ms
    return QueueId.parse(base32(BigInt(ms), TIME_CHARS) + base32(lastRandom, RANDOM_CHARS))
  }
}

const numberIn = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)

function base32(value: bigint, length: number): string {
  let text = ''
  for (let rest = value; text.length < length; rest >>= 5n) text = ALPHABET.charAt(Number(rest & 31n)) + text
  return text
}
