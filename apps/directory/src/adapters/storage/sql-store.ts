/** The directory's tables in a service's own database; see store.ts for what is promised. */
import { randomBytes } from 'node:crypto'

import { type Database, migrate, openSqlite } from '@postbus/sql'

import type { DirectoryStore, SigningKey } from '../../store.ts'
import { migrations } from './migrations.ts'
import { readerOver, prepareReads } from './reader.ts'
import { prepareSending } from './sending.ts'
import type { Tables } from './tables.ts'
import { credentialRow, writerOver } from './writer.ts'

const SECRET_BYTES = 32

/** Opens the file, creating it and its tables where they are missing. Several processes may do so at once. */
export async function openStore(path: string): Promise<DirectoryStore> {
  const db = openSqlite<Tables>(path)
  try {
    await migrate(db, migrations)
  } catch (error) {
    await db.close()
    throw error
  }
  return storeOver(db)
}

function storeOver(db: Database<Tables>): DirectoryStore {
  const reads = prepareReads(db)
  const spend = prepareSending(db)
  return {
    ...readerOver(db, reads),

    change: (work) =>
      db.transaction(async (transaction) => {
        const result = await work(writerOver(transaction, reads))
        const { value } = await transaction.query
          .updateTable('revision')
          .set(({ eb }) => ({ value: eb('value', '+', 1) }))
          .returning('value')
          .executeTakeFirstOrThrow()
        return { result, revision: value }
      }),

    renewCredential: (account, from, to) =>
      db.transaction(async ({ query }) => {
        await query
          .updateTable('credential')
          .set(credentialRow(to))
          .where('account', '=', account)
          .where('password_hash', '=', from)
          .execute()
      }),

    secret: (name) =>
      db.transaction(async ({ query }) => {
        await query
          .insertInto('secret')
          .values({ name, value: randomBytes(SECRET_BYTES) })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
        const row = await query.selectFrom('secret').select('value').where('name', '=', name).executeTakeFirstOrThrow()
        return row.value
      }),

    spend: (spendings) => db.transaction((transaction) => spend(transaction, spendings)),

    signingKeys: async () => {
      const rows = await db.query.selectFrom('signing_key').selectAll().orderBy('created_at', 'desc').execute()
      return rows.map(({ kid, private_key: privateKey, public_key: publicKey, created_at: createdAt }): SigningKey => ({
        kid,
        privateKey,
        publicKey,
        createdAt,
      }))
    },

    rotateSigningKey: ({ kid, privateKey, publicKey, createdAt }, newerThan, olderThan) =>
      db.transaction(async ({ query }) => {
        const newer = await query
          .selectFrom('signing_key')
          .select('kid')
          .where('created_at', '>', newerThan)
          .executeTakeFirst()
        if (newer === undefined) {
          const row = { kid, private_key: privateKey, public_key: publicKey, created_at: createdAt }
          await query.insertInto('signing_key').values(row).execute()
        }
        await query.deleteFrom('signing_key').where('created_at', '<', olderThan).execute()
      }),

    close: () => db.close(),
  }
}
