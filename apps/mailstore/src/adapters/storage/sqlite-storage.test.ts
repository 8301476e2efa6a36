import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { localBlobs } from '@postbus/blobs'
import { packStructure, parseStructureOf } from '@postbus/message'
import { migrate, openSqlite } from '@postbus/sql'

import { type MailStorage, StorageUnavailable } from '../../mailbox/storage.ts'
import { storageContract } from './contract/storage.contract.ts'
import { content, delivery, MESSAGE, smith, type StorageUnderTest } from './contract/suite.contract.ts'
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
  const storage = await openSqliteStorage({ path, blobs: { location: blobs }, readThreads: 2, limits })
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
  const want = {
    flags: true,
    internalDate: true,
    size: true,
    envelope: true,
    structure: true,
    basicStructure: true,
    saveDate: true,
    emailId: true,
    preview: false,
  }
  const page = await storage.read('fetch', {
    account: smith,
    mailbox,
    uids: [[1, 9]],
    want: { ...want, sections: [{ part: '', kind: 'all' }] },
    changedSince: null,
  })
  assert.equal(Buffer.from(page?.octets ?? []).toString(), 'Return-Path: <>\r\nSubject: hello\r\n\r\nhi\r\n')
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

test('sqlite: what the index rules out is not read, and texts of purged contents are gone from it', async (t) => {
  const directory = directoryOf(t)
  const path = join(directory, 'mail.db')
  const storage = await openSqliteStorage({ path, blobs: { location: join(directory, 'blobs') }, limits })
  t.after(() => storage.close())
  const structure = packStructure(parseStructureOf(Buffer.from(MESSAGE)))
  const readable = () => delivery(smith, { content: content(MESSAGE, { structure }) })
  await storage.write('deliver', [readable(), readable()])
  assert.deepEqual(await storage.index(), { texts: 2, unreadable: 0, more: false })
  const files = { db: openSqlite<Tables>(path), texts: openSqlite<IndexTables>(textIndexPath(path)) }
  t.after(() => Promise.all([files.db.close(), files.texts.close()]))
  // From here on, reading a message would fail.
  await files.db.transaction(async ({ query }) => void (await query.deleteFrom('bodies').execute()))
  const { mailbox } = (await storage.read('status', { account: smith, name: 'INBOX' })) ?? assert.fail()
  const search = (value: string) =>
    storage.read('search', { account: smith, mailbox, key: { kind: 'body', value }, after: 0, now: 0 })
  assert.deepEqual((await search('nowhere'))?.uids, [])
  await assert.rejects(search('hi\r\n'))

  const rows = () => files.texts.query.selectFrom('texts').select('rowid').execute()
  assert.equal((await rows()).length, 2)
  await storage.write('expunge', { account: smith, mailbox, uids: null, any: true })
  for (let left = 1; left > 0;) {
    const purged = await storage.write('purge', {
      at: 0,
      expungedBefore: Number.MAX_SAFE_INTEGER,
      blobsBefore: 0,
      removed: [],
    })
    left = purged.kind === 'ok' ? purged.value.rows : 0
  }
  await storage.index()
  assert.deepEqual(await rows(), [])
  assert.deepEqual(await files.db.query.selectFrom('dead_texts').selectAll().execute(), [])
})
