import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openSqliteStorage } from './sqlite-storage.ts'
import { storageContract } from './storage.contract.ts'

storageContract('sqlite', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'postbus-mailstore-'))
  const limits = { maxChunk: 10, maxKeywordsPerMailbox: 50, maxMailboxes: 20 }
  const open = async () => {
    const storage = await openSqliteStorage({
      path: join(directory, 'mail.db'),
      blobs: join(directory, 'blobs'),
      readThreads: 1,
      limits,
    })
    t.after(() => storage.close())
    return storage
  }
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return { storage: await open(), another: open }
})
