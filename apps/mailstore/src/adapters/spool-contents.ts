/**
 * Contents for delivery out of the spool. The recipients of one message that are worked on at the same time share one
 * reading, and one adoption of its file.
 */
import { randomBytes } from 'node:crypto'

import type { BlobStore } from '@postbus/blobs'
import type { QueueId } from '@postbus/contracts'
import type { SpoolReader, SpoolRecord } from '@postbus/spool'

import { MAX_HELD_BYTES, type StoredContent } from '../mailbox/content.ts'
import type { HeldForDelivery } from '../mailbox/deliver-local.ts'
import { prepareHeld, prepareLarge } from '../mailbox/prepare.ts'

export const CONTENT_PREFIX = 'content/'

/**
 * A key nobody else writes, so that taking an unused one away can never hit another delivery's; with its own age, because an
 * adopted file is as old as the spool's. Spread over 1,024 directories.
 */
export function newContentKey(name: string): string {
  return `${CONTENT_PREFIX}${name.slice(-2)}/${name}.${Date.now().toString(36)}.${randomBytes(6).toString('hex')}`
}

/** When the key was made; NaN for one that is not ours. */
export const contentKeyTime = (key: string): number => Number.parseInt(key.split('.').at(-2) ?? '', 36)

interface Shared {
  content: Promise<StoredContent>
  holders: number
  /** Some delivery stored it, or may have. */
  keep: boolean
}

export function spoolContents(
  spool: Pick<SpoolReader, 'open'>,
  blobs: Pick<BlobStore, 'adopt' | 'put' | 'delete'>,
  onRead: (bytes: number) => void,
) {
  const shared = new Map<QueueId, Shared>()

  async function prepare(queueId: QueueId): Promise<StoredContent> {
    const record = await spool.open(queueId)
    onRead(record.size)
    try {
      if (record.size <= MAX_HELD_BYTES) return await prepareHeld(record.read(), record.size, queueId)
      const key = newContentKey(queueId)
      try {
        return await prepareLarge(record.read(), queueId, await adopt(record, key))
      } catch (error) {
        await blobs.delete(key)
        throw error
      }
    } finally {
      await record.close()
    }
  }

  async function adopt(record: SpoolRecord, key: string): Promise<{ key: string; offset: number }> {
    const { place } = record
    if (place !== null && (await blobs.adopt(key, place.bytes))) return { key, offset: place.offset }
    await blobs.put(key, record.read())
    return { key, offset: 0 }
  }

  async function release(queueId: QueueId, entry: Shared): Promise<void> {
    if (--entry.holders > 0) return
    if (shared.get(queueId) === entry) shared.delete(queueId)
    if (entry.keep) return
    const { blob } = await entry.content
    if (blob !== null) await blobs.delete(blob.key)
  }

  return async (queueId: QueueId): Promise<HeldForDelivery> => {
    const entry = shared.get(queueId) ?? { content: prepare(queueId), holders: 0, keep: false }
    shared.set(queueId, entry)
    entry.holders++
    try {
      const content = await entry.content
      return {
        content,
        release(fate) {
          entry.keep ||= fate !== 'notStored'
          return release(queueId, entry)
        },
      }
    } catch (error) {
      if (--entry.holders === 0 && shared.get(queueId) === entry) shared.delete(queueId)
      throw error
    }
  }
}
