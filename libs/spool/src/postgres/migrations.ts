/** The tables of a spool in PostgreSQL, in the order they came. */
import { type ChunkTables, chunkTables } from '@postbus/blobs/chunks'
import type { Migration } from '@postbus/sql'
import type { Generated } from 'kysely'

export interface SpoolTables extends ChunkTables {
  record: {
    queue_id: string
    /** In the order written. */
    number: Generated<number>
    written_at: number
    /** JSON. */
    event: string
    size: number
    crc: number
    /** Of short messages; of others `content` has them. */
    bytes: Uint8Array | null
    content: number | null
  }
}

export const SPOOL_SCHEMA = 'spool'

/** No service keeps a spool in SQLite. */
const NEVER = 'select 1'

export const migrations: readonly Migration[] = [
  {
    name: '0001-spool',
    sqlite: NEVER,
    // Rows come and go with every message: what they leave is to be taken away before it is much.
    postgres: `${chunkTables}
      create table record (
        queue_id text collate "C" primary key,
        number bigint generated always as identity,
        written_at bigint not null,
        event text not null,
        size bigint not null,
        crc bigint not null,
        bytes bytea,
        content bigint references content (id)
      );
      create unique index record_number on record (number);
      create index record_content on record (content) where content is not null;
      alter table record alter column bytes set storage external;
      alter table record set (
        autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_threshold = 1000
      );`,
  },
]
