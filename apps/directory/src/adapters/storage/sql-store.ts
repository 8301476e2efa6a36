/** The directory's tables in a service's own database; see store.ts for what is promised. */
import { randomBytes } from 'node:crypto'

import { type Database, type DatabaseOptions, migrate, openDatabase } from '@postbus/sql'

import type { DirectoryStore, SigningKey } from '../../store.ts'
import { migrations } from './migrations.ts'
import { readerOver, prepareReads } from './reader.ts'
import { prepareSending } from './sending.ts'
import type { Tables } from './tables.ts'
import { credentialRow, writerOver } from './writer.ts'

const SECRET_BYTES = 32

/** Opens the database, creating what is missing of it. Several processes may do so at once. */
export async function openStore(
  location: string,
  options: Omit<DatabaseOptions, 'schema'> = {},
): Promise<DirectoryStore> {
  const db = openDatabase<Tables>(location, { schema: 'directory', ...options })
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

    // Beside no other transaction: what it decides by what it read, and the revision, stay true until it is committed.
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

    // One statement that says itself what it must find.
    renewCredential: (account, from, to) =>
      db.transaction(
        async ({ query }) => {
          await query
            .updateTable('credential')
            .set(credentialRow(to))
            .where('account', '=', account)
            .where('password_hash', '=', from)
            .execute()
        },
        { locks: [] },
      ),

    // The primary key decides whose comes first; the others wait for it, and then read it.
    secret: (name) =>
      db.transaction(
        async ({ query }) => {
          await query
            .insertInto('secret')
            .values({ name, value: randomBytes(SECRET_BYTES) })
            .onConflict((conflict) => conflict.doNothing())
            .execute()
          const row = await query
            .selectFrom('secret')
            .select('value')
            .where('name', '=', name)
            .executeTakeFirstOrThrow()
          return row.value
        },
        { locks: [] },
      ),

    // Counted and added in two steps, so for one account one after another.
    spend: (spendings) =>
      db.transaction((transaction) => spend(transaction, spendings), {
        locks: spendings.map(({ account }) => `sending ${account}`),
      }),

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
      db.transaction(
        async ({ query }) => {
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
        },
        { locks: ['signing keys'] },
      ),

    close: () => db.close(),
  }
}
