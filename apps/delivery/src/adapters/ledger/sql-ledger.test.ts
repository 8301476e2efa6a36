import type { TestContext } from 'node:test'

import { openDatabase, temporaryFile } from '@postbus/sql'
import { startPostgres } from '@postbus/testkit'

import { ledgerContract } from '../../../test/ledger.contract.ts'
import { sqlLedger, type Tables } from './sql-ledger.ts'

const ledgerAt = async (t: TestContext, location: string) => {
  const ledger = await sqlLedger(openDatabase<Tables>(location, { schema: 'delivery' }))
  t.after(() => ledger.close())
  return ledger
}

ledgerContract('SQLite', async (t) => ledgerAt(t, temporaryFile(t)))
ledgerContract('PostgreSQL', async (t) => ledgerAt(t, (await startPostgres(t)).url))
