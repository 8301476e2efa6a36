import { migrate, openSqlite, temporaryFile } from '@postbus/sql'

import { booksContract } from '../../../test/books.contract.ts'
import { migrations } from './migrations.ts'
import { sqlBooks } from './sqlite-books.ts'
import type { Tables } from './tables.ts'

booksContract('SQLite', async (t, options) => {
  const file = temporaryFile(t)
  const again = async () => {
    const db = openSqlite<Tables>(file)
    t.after(() => db.close())
    await migrate(db, migrations)
    return sqlBooks(db, options)
  }
  return { books: await again(), again }
})
