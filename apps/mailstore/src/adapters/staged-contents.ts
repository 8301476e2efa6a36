/** Contents for APPEND out of staged blobs: small ones are read, large ones get a key of their own. */
import { type Blobs, NoSuchBlob } from '@postbus/blobs'
import { RequestRefused } from '@postbus/bus'

import type { AppendPorts, Staged } from '../mailbox/append.ts'
import { MAX_HELD_BYTES, type StoredContent } from '../mailbox/content.ts'
import { prepareHeld, prepareLarge } from '../mailbox/prepare.ts'
import { newContentKey } from './spool-contents.ts'

export function stagedContents(
  blobs: Blobs,
  { maxBytes, onRead }: { maxBytes: number; onRead(bytes: number): void },
): Pick<AppendPorts, 'prepare' | 'discard'> {
  async function prepare({ blob }: Staged): Promise<StoredContent> {
    const size = await blobs.size(blob)
    if (size > maxBytes) throw new RequestRefused('tooLarge', `A message has at most ${maxBytes} octets`)
    onRead(size)
    if (size <= MAX_HELD_BYTES) return prepareHeld(blobs.read(blob), size, null)
    const key = newContentKey('append')
    await blobs.link(blob, key)
    return prepareLarge(blobs.read(key), null, { key, offset: 0 })
  }

  return {
    async prepare(staged) {
      try {
        return await prepare(staged)
      } catch (cause) {
        if (cause instanceof NoSuchBlob) throw new RequestRefused('noSuchBlob', 'The literal is not there', { cause })
        throw cause
      }
    },
    async discard(keys) {
      await Promise.allSettled(keys.map((key) => blobs.delete(key)))
    },
  }
}
