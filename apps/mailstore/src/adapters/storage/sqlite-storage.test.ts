import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { localBlobs } from '@postbus/blobs'
import { migrate, openSqlite } from '@postbus/sql'

import { type MailStorage, StorageUnavailable } from '../../mailbox/storage.ts'
import { storageContract } from './contract/storage.contract.ts'
import { delivery, smith, type StorageUnderTest } from './contract/suite.contract.ts'
import { migrations } from './migrations.ts'
import { defaultLimits } from './operation.ts'
import { readOperations } from './read-operations.ts'
import type { Tables } from './schema.ts'
import { readingFrom, writingTo } from './sql-storage.ts'
import { openSqliteStorage } from './sqlite-storage.ts'
import { indexing } from './text-index/indexing.ts'
import { createTextIndex, type IndexTables, textIndexPath } from './text-index/schema.ts'

import { writeOperations } from './write-operations.ts'

const limits = { ...defaultLimits, maxChunk: 10, maxKeywordsPerMailbox: 50, maxMailboxes: 20 }

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'postbus-mailstore-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Without threads, which cost more to start than most of these tests take. */
async function inThisThread(t: TestContext): Promise<StorageUnderTest> {
  const directory = directoryOf(t)
  const another = async (): Promise<MailStorage> => {
    const path = join(directory, 'mail.db')
    const db = openSqlite<Tables>(path)
    await migrate(db, migrations)
    await createTextIndex(textIndexPath(path))
    const texts = openSqlite<IndexTables>(textIndexPath(path))
    const close = async () => void (await Promise.all([db.close(), texts.close()]))
    t.after(close)
    const blobs = localBlobs(join(directory, 'blobs'))
    const write = writingTo(db, writeOperations(db, limits))
    const index = indexing(db, blobs, texts)
    return {
      read: readingFrom(db, readOperations(db, blobs, texts)),
      write,
      async index() {
        const { forgotten, ...step } = await index()
        await write('forgetTexts', { contents: forgotten })
        return step
      },
      close,
    }
  }
  return { storage: await another(), another }
}

storageContract('sqlite', inThisThread)

async function threads(t: TestContext): Promise<MailStorage> {
  const directory = directoryOf(t)
  const [path, blobs] = [join(directory, 'mail.db'), join(directory, 'blobs')]
  const storage = await openSqliteStorage({ path, blobs, readThreads: 2, limits })
  t.after(() => storage.close())
  return storage
}

test('sqlite threads: bytes, refusals and failures come back as they are', async (t) => {
  const storage = await threads(t)
  const delivered = await storage.write('deliver', [delivery(smith)])
  assert.ok(delivered.kind === 'ok')
  assert.equal(delivered.changes[0]?.account, smith)
  const refused = await storage.write('remove', { account: smith, name: 'Nowhere' })
  assert.deepEqual(refused, { kind: 'refused', code: 'noSuchMailbox', reason: 'no mailbox Nowhere' })
  const { mailbox } = (await storage.read('status', { account: smith, name: 'INBOX' })) ?? assert.fail()
  const want = { flags: true, internalDate: true, size: true, envelope: true, structure: true, saveDate: true }
  const page = await storage.read('fetch', {
    account: smith,
    mailbox,
    uids: [[1, 9]],
    want: { ...want, sections: [{ part: '', kind: 'all' }] },
    changedSince: null,
  })
  const [message] = page?.rows ?? []
  assert.equal(Buffer.from(message?.bytes?.[0] ?? []).toString(), 'Return-Path: <>\r\nSubject: hello\r\n\r\nhi\r\n')
  // A command nobody knows is a fault of ours, not of the disk.
  await assert.rejects(
    storage.read('nonsense' as 'list', { account: smith }),
    (error) => error instanceof Error && !(error instanceof StorageUnavailable),
  )
  assert.equal((await storage.read('list', { account: smith })).mailboxes.length, 6)
})

test('sqlite threads: what waits at a close is finished first', async (t) => {
  const storage = await threads(t)
  const writes = Array.from({ length: 50 }, () => storage.write('deliver', [delivery(smith)]))
  await storage.close()
  const outcomes = await Promise.all(writes)
  assert.ok(outcomes.every((outcome) => outcome.kind === 'ok' && outcome.value[0]?.kind === 'delivered'))
})
