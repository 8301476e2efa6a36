/** Subject tokens: how sites, lanes and buckets are made from domains and queue ids. Pure and stable for ever: they are stored. */
import { hash } from 'node:crypto'

import { RecipientKey, type QueueId } from './envelope.ts'

export const STATUS_BUCKETS = 64
/** Destination sites are spread over this many lanes; fixed, because a task's lane is part of its subject. */
export const LANES = 32

const MAX_SITE_TOKEN = 120

/** A stable 32-bit hash for spreading; not for keys. */
function spread(text: string, over: number): number {
  return hash('sha256', text, 'buffer').readUInt32BE(0) % over
}

const twoDigits = (value: number): string => String(value).padStart(2, '0')

/** The bucket of mail.status and custody.changed a message belongs to: `00` … `63`. */
export function bucketOf(queueId: string): string {
  return twoDigits(spread(queueId, STATUS_BUCKETS))
}

/**
 * A site (a lower-case A-label domain, or an address literal) as a subject token: dots become `~`. What does not
 * fit the token alphabet or is very long becomes `h~` and a hash.
 */
export function siteToken(site: string): string {
  const token = site.toLowerCase().replaceAll('.', '~')
  if (token.length <= MAX_SITE_TOKEN && /^[a-z0-9~_-]+$/.test(token)) return token
  return `h~${hash('sha256', site.toLowerCase()).slice(0, 32)}`
}

/** Every task of a large destination asks for the same one, several times. */
const MAX_LANES_REMEMBERED = 10_000
const lanesRemembered = new Map<string, string>()

/** The lane a site lives in, for the whole cluster. */
export function laneOf(site: string): string {
  const known = lanesRemembered.get(site)
  if (known !== undefined) return known
  const lane = twoDigits(spread(siteToken(site), LANES))
  if (lanesRemembered.size >= MAX_LANES_REMEMBERED) lanesRemembered.clear()
  lanesRemembered.set(site, lane)
  return lane
}

/** The shard of MAIL_OUT a lane lives in. */
export function shardOf(lane: string, shards: number): number {
  return Number(lane) % shards
}

/** See RecipientKey. Both halves as they stand in the envelope and in the routing result. */
export function recipientKey(original: string, final: string): RecipientKey {
  return RecipientKey.parse(hash('sha256', `${original}\0${final}`).slice(0, 16))
}

/** One task everywhere: ledger, status, holds. */
export const taskKey = (queueId: QueueId, n: RecipientKey): string => `${queueId}.${n}`
