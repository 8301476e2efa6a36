/** The tables of blobs in PostgreSQL, in the order they came. */
import type { Migration } from '@postbus/sql'

import { type ChunkTables, chunkTables } from './chunks.ts'

export interface BlobTables extends ChunkTables {
  blob: { key: string; content: number; size: number; made_at: number; source: string | null }
}

/** Of this schema alone: no service keeps blobs in SQLite. */
const NEVER = 'select 1'

export const migrations: readonly Migration[] = [
  {
    name: '0001-blobs',
    sqlite: NEVER,
    postgres: `${chunkTables}
      create table blob (
        key text collate "C" primary key,
        content bigint not null references content (id),
        size bigint not null,
        made_at bigint not null,
        -- What another store called the bytes that were taken over from it.
        source text collate "C"
      );
      create index blob_content on blob (content);`,
  },
]
