import type { TestContext } from 'node:test'

import { temporaryFile } from '@postbus/sql'
import { startPostgres } from '@postbus/testkit'

import { openStore } from './sql-store.ts'
import { type OpenStores, storeContract } from './store.contract.ts'

const storesAt =
  (locate: (t: TestContext) => Promise<string>): OpenStores =>
  async (t) => {
    const location = await locate(t)
    return async () => {
      const store = await openStore(location)
      t.after(() => store.close())
      return store
    }
  }

storeContract(
  'SQLite',
  storesAt(async (t) => temporaryFile(t)),
)
storeContract(
  'PostgreSQL',
  storesAt(async (t) => (await startPostgres(t)).url),
)
