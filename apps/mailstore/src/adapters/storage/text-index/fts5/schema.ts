/**
 * The text index: a file of its own beside the database, so that filling it never holds up who writes mail. It can be
 * deleted at any time; it is made again.
 *
 * Invariant: of the contents of its epoch, every one up to `cursor` is in `texts`, unless it is in `partial` or gone.
 */
import { type Database, migrate, type Migration, openSqlite } from '@postbus/sql'

export interface IndexTables {
  /** One row, or none at the very start. */
  progress: { epoch: string; cursor: number }
  /** Contents that are not in `texts`: too long, or they could not be read. They are always looked at. */
  partial: { content: number }
  /** FTS5: `texts` is the table as a whole, to be matched against. */
  texts: { rowid: number; texts: string; headers: string; bodies: string }
}

export type IndexDatabase = Database<IndexTables>

const migrations: readonly Migration[] = [
  {
    name: '0001-text-index',
    // Case is folded before: SQLite's folding is another one. No positions: what is found is looked at anyway.
    sqlite: `
      create table progress (epoch text not null, cursor integer not null) strict;
      create table partial (content integer primary key) strict;
      create virtual table texts using fts5(
        headers, bodies,
        tokenize = 'trigram case_sensitive 1', content = '', contentless_delete = 1, detail = column
      );
    `,
  },
]

/** Not one of the databases that are backed up by their names. */
export const textIndexPath = (database: string): string => `${database}.index`

export async function createTextIndex(path: string): Promise<void> {
  const db = openSqlite(path)
  await migrate(db, migrations)
  await db.close()
}
