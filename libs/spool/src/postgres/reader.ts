/** Records read from PostgreSQL: short messages with their row, longer ones chunk by chunk. */
import { NoSuchBlob } from '@postbus/blobs'
import { serverOf } from '@postbus/blobs/chunks'
import type { QueueId } from '@postbus/contracts'

import { NoSuchRecord, type SpoolReader } from '../spool.ts'
import { type StoredBytes, storedRecord } from '../stored-record.ts'
import { eventIn } from './events.ts'
import { SPOOL_SCHEMA } from './migrations.ts'
import { SpoolDatabase, type SpoolDatabaseOptions } from './open.ts'

export function postgresReader(url: string, options: SpoolDatabaseOptions): SpoolReader {
  const database = new SpoolDatabase(url, options)
  const server = serverOf(url)

  async function* chunksOf(queueId: QueueId, content: number, start: number, end: number): AsyncGenerator<Uint8Array> {
    try {
      yield* database.chunks.read(content, start, end)
    } catch (cause) {
      throw cause instanceof NoSuchBlob ? new NoSuchRecord(`${queueId} was freed`, { cause }) : cause
    }
  }

  async function* piece(bytes: Uint8Array, start: number, end: number): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(start, end)
  }

  return {
    async open(queueId) {
      const { query } = await database.ready()
      const row = await query.selectFrom('record').selectAll().where('queue_id', '=', queueId).executeTakeFirst()
      if (!row) throw new NoSuchRecord(`no record of ${queueId}`)
      const { bytes, content, size, crc } = row
      const facts = { queueId, accepted: eventIn(row), size, crc }
      const held: Pick<StoredBytes, 'place' | 'read'> = {
        place: null,
        read: (start, end) => piece(bytes ?? new Uint8Array(), start, end),
      }
      if (content === null) return storedRecord({ ...facts, ...held })
      return storedRecord({
        ...facts,
        place: {
          bytes: { kind: 'postgres', server, table: `${SPOOL_SCHEMA}.chunk`, content: String(content) },
          offset: 0,
        },
        read: (start, end) => chunksOf(queueId, content, start, end),
      })
    },
    close: () => database.close(),
  }
}
