/** Contents for APPEND out of staged blobs: small ones are read, large ones get a key of their own. */
import { randomBytes } from 'node:crypto'

import { type Blobs, NoSuchBlob } from '@postbus/blobs'
import { RequestRefused } from '@postbus/bus'
import { STAGED_PREFIX } from '@postbus/contracts'
import { encodeBinaryParts, parseStructure, parseStructureOf } from '@postbus/message'

import type { AppendPorts } from '../mailbox/append.ts'
import { MAX_HELD_BYTES, type StoredContent } from '../mailbox/content.ts'
import { prepareHeld, prepareLarge } from '../mailbox/prepare.ts'
import { newContentKey } from './spool-contents.ts'

export function stagedContents(
  blobs: Blobs,
  { maxBytes, onRead }: { maxBytes: number; onRead(bytes: number): void },
): Pick<AppendPorts, 'prepare' | 'discard'> {
  async function prepare(blob: string): Promise<StoredContent> {
    const size = await blobs.size(blob)
    if (size > maxBytes) throw new RequestRefused('tooLarge', `A message has at most ${maxBytes} octets`)
    onRead(size)
    if (size <= MAX_HELD_BYTES) return prepareHeld(blobs.read(blob), size, null)
    const key = newContentKey('append')
    await blobs.link(blob, key)
    return prepareLarge(blobs.read(key), null, { key, offset: 0 })
  }

  /** RFC 3516 §4.4: a server may store binary parts in an encoding that every reader can be sent. */
  async function prepareBinary(blob: string): Promise<StoredContent> {
    const encoded = `${STAGED_PREFIX}${randomBytes(16).toString('hex')}`
    const root = await parseStructure(blobs.read(blob))
    try {
      // Base64 and CRLF make it twice as large at most.
      await blobs.put(encoded, encodeBinaryParts(blobs.read(blob), root), { maxBytes: 2 * maxBytes, durable: false })
      return await prepare(encoded)
    } finally {
      await blobs.delete(encoded)
    }
  }

  async function prepareInline(octets: Buffer, binary: boolean): Promise<StoredContent> {
    const bytes = binary
      ? Buffer.concat(await Array.fromAsync(encodeBinaryParts([octets], parseStructureOf(octets))))
      : octets
    if (bytes.length > MAX_HELD_BYTES) throw new RequestRefused('tooLarge', 'A message of this size is to be staged')
    onRead(bytes.length)
    return prepareHeld([bytes], bytes.length, null)
  }

  return {
    async prepare({ blob, octets = '', binary }) {
      if (blob === undefined) return prepareInline(Buffer.from(octets, 'base64'), binary)
      try {
        return await (binary ? prepareBinary(blob) : prepare(blob))
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
