/**
 * The octets of a message become content to be stored: structure, envelope and offsets are worked out here, once.
 *
 * STANDARDS  RFC 9051 §7.5.2 (ENVELOPE, BODYSTRUCTURE)
 */
import type { QueueId } from '@postbus/contracts'
import { encodeBodyStructure, encodeEnvelope } from '@postbus/imap-wire'
import { type MessagePart, packStructure, parseStructureOf, sortKeysOf, StructureParser } from '@postbus/message'

import { MAX_HELD_BYTES, type StoredContent } from './content.ts'

type Octets = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** A message that is held in the database: at most MAX_HELD_BYTES. */
export async function prepareHeld(octets: Octets, size: number, queueId: QueueId | null): Promise<StoredContent> {
  const bytes = new Uint8Array(size)
  let filled = 0
  for await (const chunk of octets) {
    bytes.set(chunk, filled)
    filled += chunk.length
  }
  if (filled !== size) throw new Error(`a message of ${size} octets ended after ${filled}`)
  const root = parseStructureOf(bytes)
  const headerSize = root.header.end
  // Copies: what crosses to the storage thread takes the whole buffer it lies in along.
  const [header, body] = [bytes.slice(0, headerSize), bytes.slice(headerSize)]
  return { queueId, size, header, body, blob: null, ...computed(root, header) }
}

/** A message whose bytes are in a blob. They pass by; only the header stays. */
export async function prepareLarge(
  octets: Octets,
  queueId: QueueId | null,
  blob: { key: string; offset: number },
): Promise<StoredContent> {
  const parser = new StructureParser()
  const start = new Uint8Array(MAX_HELD_BYTES)
  let size = 0
  for await (const chunk of octets) {
    if (size < start.length) start.set(chunk.subarray(0, start.length - size), size)
    size += chunk.length
    parser.write(chunk)
  }
  const root = parser.end()
  const header = start.slice(0, Math.min(root.header.end, size))
  return { queueId, size, header, body: null, blob, ...computed(root, header) }
}

function computed(root: MessagePart, header: Uint8Array) {
  const envelope = root.envelope ?? {}
  return {
    headerSize: root.header.end,
    sort: sortKeysOf(header),
    envelope: encodeEnvelope(envelope),
    wireStructure: encodeBodyStructure(root, { extended: true }),
    wireBody: encodeBodyStructure(root, { extended: false }),
    structure: packStructure(root),
  }
}
