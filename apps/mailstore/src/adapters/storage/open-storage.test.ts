import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { localBlobs } from '@postbus/blobs'
import { packStructure, parseStructureOf } from '@postbus/message'
import { isPostgres, migrate, openDatabase, openSqlite } from '@postbus/sql'
import { startPostgres } from '@postbus/testkit'

import { type MailStorage, StorageUnavailable } from '../../mailbox/storage.ts'
import { storageContract } from './contract/storage.contract.ts'
import { content, delivery, MESSAGE, smith, type StorageUnderTest } from './contract/suite.contract.ts'
import { migrations } from './migrations.ts'
import { defaultLimits } from './operation.ts'
import { readOperations } from './read-operations.ts'
import type { Tables } from './schema.ts'
import { readingFrom, writingTo } from './sql-storage.ts'
import { MAX_WRITERS } from './lanes.ts'
import { openStorage, SCHEMA } from './open-storage.ts'
import { fts5Index } from './text-index/fts5/candidates.ts'
import { fts5Indexing } from './text-index/fts5/indexing.ts'
import { createTextIndex, type IndexTables, textIndexPath } from './text-index/fts5/schema.ts'
import { signatureIndex } from './text-index/signatures/candidates.ts'
import { signatureIndexing } from './text-index/signatures/indexing.ts'
import { writeOperations } from './write-operations.ts'

const MIB = 1024 ** 2
const limits = { ...defaultLimits, maxChunk: 10, maxCopiedLength: 40, maxKeywordsPerMailbox: 50, maxMailboxes: 20 }

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'postbus-mailstore-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Without threads, which cost more to start than most of these tests take. */
async function sqliteInThisThread(t: TestContext): Promise<StorageUnderTest> {
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
    const index = fts5Indexing(db, blobs, texts)
    return {
      read: readingFrom(db, readOperations(db, blobs, fts5Index(texts), MIB)),
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

storageContract('sqlite', sqliteInThisThread)

async function postgresInThisThread(t: TestContext): Promise<StorageUnderTest> {
  const directory = directoryOf(t)
  const { url } = await startPostgres(t)
  const another = async (): Promise<MailStorage> => {
    const db = openDatabase<Tables>(url, { schema: SCHEMA, connections: 2 * MAX_WRITERS })
    await migrate(db, migrations)
    const close = () => db.close()
    t.after(close)
    const blobs = localBlobs(join(directory, 'blobs'))
    const index = signatureIndexing(db, blobs)
    return {
      read: readingFrom(db, readOperations(db, blobs, signatureIndex, MIB)),
      write: writingTo(db, writeOperations(db, limits)),
      async index() {
        const { forgotten: _none, ...step } = await index()
        return step
      },
      close,
    }
  }
  return { storage: await another(), another }
}

storageContract('postgres', postgresInThisThread)

/** The same in threads of their own, as a service has it. @param locate says where an empty database is that goes with the test */
function threadsContract(adapter: string, locate: (t: TestContext) => Promise<string>): void {
  const threads = async (t: TestContext): Promise<{ storage: MailStorage; database: string }> => {
    const [database, blobs] = [await locate(t), join(directoryOf(t), 'blobs')]
    const storage = await openStorage({ database, blobs: { location: blobs }, readThreads: 2, limits })
    t.after(() => storage.close())
    return { storage, database }
  }

  void test(`${adapter} threads: bytes, refusals and failures come back as they are`, async (t) => {
    const { storage } = await threads(t)
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

  void test(`${adapter} threads: what waits at a close is finished first`, async (t) => {
    const { storage } = await threads(t)
    const writes = Array.from({ length: 50 }, () => storage.write('deliver', [delivery(smith)]))
    await storage.close()
    const outcomes = await Promise.all(writes)
    assert.ok(outcomes.every((outcome) => outcome.kind === 'ok' && outcome.value[0]?.kind === 'delivered'))
  })

  void test(`${adapter} threads: what the index rules out is not read, and texts of purged contents are gone from it`, async (t) => {
    const { storage, database } = await threads(t)
    const structure = packStructure(parseStructureOf(Buffer.from(MESSAGE)))
    const readable = () => delivery(smith, { content: content(MESSAGE, { structure }) })
    await storage.write('deliver', [readable(), readable()])
    assert.deepEqual(await storage.index(), { texts: 2, unreadable: 0, more: false })
    const db = openDatabase<Tables>(database, { schema: SCHEMA })
    t.after(() => db.close())
    // From here on, reading a message would fail.
    await db.transaction(async ({ query }) => void (await query.deleteFrom('bodies').execute()))
    const { mailbox } = (await storage.read('status', { account: smith, name: 'INBOX' })) ?? assert.fail()
    const search = (value: string) =>
      storage.read('search', { account: smith, mailbox, key: { kind: 'body', value }, after: 0, now: 0 })
    assert.deepEqual((await search('nowhere'))?.uids, [])
    await assert.rejects(search('hi\r\n'))

    assert.equal((await indexed(database)).length, 2)
    await storage.write('expunge', { account: smith, mailbox, uids: null, any: true })
    for (let left = 1; left > 0;) {
      const everything = { at: 0, expungedBefore: Number.MAX_SAFE_INTEGER, blobsBefore: 0, removed: [] }
      const purged = await storage.write('purge', everything)
      left = purged.kind === 'ok' ? purged.value.rows : 0
    }
    await storage.index()
    assert.deepEqual(await indexed(database), [])
    if (db.dialect === 'sqlite') assert.deepEqual(await db.query.selectFrom('dead_texts').selectAll().execute(), [])
  })
}

/** Contents that are in the text index. */
async function indexed(database: string): Promise<unknown[]> {
  if (isPostgres(database)) {
    const db = openDatabase<Tables>(database, { schema: SCHEMA, readOnly: true })
    return db.query
      .selectFrom('text_signatures')
      .select('content')
      .execute()
      .finally(() => db.close())
  }
  const texts = openSqlite<IndexTables>(textIndexPath(database), { readOnly: true })
  return texts.query
    .selectFrom('texts')
    .select('rowid')
    .execute()
    .finally(() => texts.close())
}

threadsContract('sqlite', async (t) => join(directoryOf(t), 'mail.db'))
threadsContract('postgres', async (t) => (await startPostgres(t)).url)

test('postgres threads: a server that is gone is told of once, and so is its return; nothing has to be opened anew', async (t) => {
  const server = await startPostgres(t)
  const told: string[] = []
  const notices = { waiting: () => void told.push('waiting'), recovered: () => void told.push('recovered') }
  const blobs = join(directoryOf(t), 'blobs')
  const storage = await openStorage({
    database: server.url,
    blobs: { location: blobs },
    limits,
    server: { busyTimeoutMs: 2000, ...notices },
  })
  t.after(() => storage.close())
  const deliver = () => storage.write('deliver', [delivery(smith)])
  const read = () => storage.read('account', { account: smith })
  await deliver()
  await read()
  await server.stop()
  await assert.rejects(deliver(), StorageUnavailable)
  await assert.rejects(read(), StorageUnavailable)
  assert.deepEqual(told, ['waiting'])
  await server.start()
  await deliver()
  assert.equal((await read())?.messages, 2)
  assert.deepEqual(told, ['waiting', 'recovered'])
})
