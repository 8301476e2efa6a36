import { temporaryFile } from '@postbus/sql'

import { openStore } from './sql-store.ts'
import { storeContract } from './store.contract.ts'

storeContract(async (t) => {
  const path = temporaryFile(t)
  return async () => {
    const store = await openStore(path)
    t.after(() => store.close())
    return store
  }
})
