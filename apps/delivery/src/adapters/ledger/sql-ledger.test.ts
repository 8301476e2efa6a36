import { temporaryFile, openSqlite } from '@postbus/sql'

import { ledgerContract } from '../../../test/ledger.contract.ts'
import { sqlLedger, type Tables } from './sql-ledger.ts'

ledgerContract('SQLite', async (t) => {
  const ledger = await sqlLedger(openSqlite<Tables>(temporaryFile(t)))
  t.after(() => ledger.close())
  return ledger
})
