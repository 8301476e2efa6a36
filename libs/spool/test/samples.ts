/** Records for tests. */
import { randomBytes } from 'node:crypto'

import { MailAccepted, QueueId } from '@postbus/contracts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Queue ids as intake makes them, of this time or now. */
export function queueIds(time?: number): () => QueueId {
  return () => {
    let milliseconds = time ?? Date.now()
    let id = ''
    for (let at = 0; at < 10; at++) {
      id = ALPHABET.charAt(milliseconds % 32) + id
      milliseconds = Math.floor(milliseconds / 32)
    }
    for (const octet of randomBytes(16)) id += ALPHABET.charAt(octet % 32)
    return QueueId.parse(id)
  }
}

export function acceptedAs(queueId: QueueId, size: number, recipients = 1): MailAccepted {
  return MailAccepted.schema.parse({
    queueId,
    incarnation: 0,
    acceptedAt: '2026-11-23T10:00:00Z',
    origin: 'inbound',
    size,
    smtputf8: false,
    requireTls: false,
    envelope: {
      reversePath: 'smith@example.com',
      recipients: Array.from({ length: recipients }, (_, n) => ({ forwardPath: `r${n}@example.org` })),
    },
  })
}

export async function* bytesOf(...pieces: (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece)
}

export async function whole(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(pieces))
}

/** Octets that belong to this id and no other. */
export function contentOf(queueId: QueueId, size: number): Buffer {
  return Buffer.alloc(size, `${queueId} `)
}
