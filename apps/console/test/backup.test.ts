/** Backup and restore on real files, with a spool and books that are at work. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { localBlobs } from '@postbus/blobs'
import { MailAccepted, QueueId } from '@postbus/contracts'
import { DataDirectoryInUse, databasePath, layoutOf, lockDataDirectory } from '@postbus/profile'
import { openSpoolKeeper, openSpoolReader, openSpoolWriter } from '@postbus/spool'
import { openSqlite } from '@postbus/sql'

import { BackupDamaged } from '../src/backup/manifest.ts'
import { DirectoryNotEmpty, restoreBackup } from '../src/backup/restore-backup.ts'
import { BackupImpossible, takeBackup } from '../src/backup/take-backup.ts'
import { verifyBackup } from '../src/backup/verify-backup.ts'
import { postbus } from '../src/cli/postbus.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

interface Books {
  message: { queue_id: string; open: number }
}

async function temporary(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-backup-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

function newQueueId(): QueueId {
  let [id, time] = ['', Date.now()]
  for (let at = 0; at < 10; at++, time = Math.floor(time / 32)) id = ALPHABET.charAt(time % 32) + id
  for (const octet of randomBytes(16)) id += ALPHABET.charAt(octet % 32)
  return QueueId.parse(id)
}

const acceptedAs = (queueId: QueueId, size: number): MailAccepted =>
  MailAccepted.schema.parse({
    ...{ queueId, incarnation: 0, acceptedAt: '2026-11-23T10:00:00Z', origin: 'inbound', size },
    ...{ smtputf8: false, requireTls: false },
    envelope: { reversePath: 'smith@example.com', recipients: [{ forwardPath: 'jones@example.org' }] },
  })

async function* bytesOf(size: number): AsyncGenerator<Uint8Array> {
  for (let left = size; left > 0; left -= 60_000) yield Buffer.alloc(Math.min(left, 60_000), 'x')
}

/** A data directory with books, a spool, blobs, keys; and the platform's way with them: record, books, end in the books, freed. */
async function dataDirectory(t: TestContext) {
  const data = join(await temporary(t), 'data')
  const layout = layoutOf(data)
  for (const dir of [layout.databases, layout.spool, layout.blobs, layout.keys, layout.tls])
    await mkdir(dir, { recursive: true })
  await writeFile(join(layout.keys, 'custody.nk'), 'secret', { mode: 0o600 })
  await writeFile(layout.demoAccounts, '[]')
  const books = openSqlite<Books>(databasePath(layout, 'custody'))
  t.after(() => books.close())
  await books.transaction((tx) => tx.exec('create table message (queue_id text primary key, open integer not null)'))
  const blobs = localBlobs(layout.blobs)
  await blobs.put('content/ab/one', bytesOf(100_000))
  const writer = await openSpoolWriter(layout.spool, { writerName: 'test' })
  t.after(() => writer.close())
  const keeper = await openSpoolKeeper(layout.spool)
  t.after(() => keeper.close())
  return {
    ...{ data, layout, books, blobs },
    async accept(size: number): Promise<QueueId> {
      const queueId = newQueueId()
      await writer.put(queueId, bytesOf(size), (octets) => acceptedAs(queueId, octets))
      await books.transaction(({ query }) =>
        query.insertInto('message').values({ queue_id: queueId, open: 1 }).execute(),
      )
      return queueId
    },
    async end(queueId: QueueId): Promise<void> {
      await books.transaction(({ query }) =>
        query.updateTable('message').set({ open: 0 }).where('queue_id', '=', queueId).execute(),
      )
      await keeper.free([queueId])
    },
  }
}

const silently = (): void => undefined

async function inBackup(dir: string) {
  const layout = layoutOf(dir)
  const books = openSqlite<Books>(databasePath(layout, 'custody'), { readOnly: true })
  const rows = await books.query.selectFrom('message').selectAll().execute()
  await books.close()
  const keeper = await openSpoolKeeper(layout.spool)
  const records = (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId as string)
  await keeper.close()
  const by = (open: number) => rows.filter((row) => row.open === open).map(({ queue_id: id }) => id)
  return { open: by(1), ended: by(0), records: new Set(records), layout }
}

test('taken while messages come and go, a backup has every record its books need, whole, and none they have done with', async (t) => {
  const it = await dataDirectory(t)
  const waiting: QueueId[] = []
  for (let index = 0; index < 40; index++) waiting.push(await it.accept(index % 8 === 0 ? 400_000 : 500))
  const over = new AbortController()
  const traffic = (async () => {
    for (let index = 0; !over.signal.aborted; index++) {
      waiting.push(await it.accept(index % 5 === 0 ? 300_000 : 900))
      const oldest = index % 3 === 0 ? undefined : waiting.shift()
      // Beside the next: freeing waits while the books are copied.
      if (oldest) void it.end(oldest).catch(silently)
    }
  })()
  const before = [...waiting]
  const to = join(it.data, '..', 'backup')
  // Each step waits until messages have come and gone, so that they do so between any two.
  const progress = async (): Promise<void> => {
    const [last] = waiting.slice(-1)
    while (waiting.slice(-1)[0] === last || waiting.length < 10) await new Promise((resolve) => setImmediate(resolve))
  }
  const summary = await takeBackup({ data: it.data, to, progress })
  over.abort()
  await traffic

  assert.deepEqual((await verifyBackup(to)).problems, [])
  const { open, ended, records, layout } = await inBackup(to)
  assert.ok(open.length > 0 && ended.length > 0)
  for (const queueId of before) assert.ok(open.includes(queueId) || ended.includes(queueId), queueId)
  assert.deepEqual(
    open.filter((id) => !records.has(id)),
    [],
  )
  const reader = await openSpoolReader(layout.spool)
  t.after(() => reader.close())
  for (const id of open) {
    const record = await reader.open(QueueId.parse(id))
    for await (const piece of record.read()) void piece
    await record.close()
  }
  // The last ones may have been ended in the copied books and not yet freed: custody frees those after a restore.
  const left = ended.filter((id) => records.has(id))
  assert.ok(left.length <= 20, `${left.length} of ${ended.length} ended records are there`)
  t.diagnostic(`${open.length} open, ${ended.length} ended (${left.length} not freed yet), ${summary.files} files`)
})

test('a restored directory has the same bytes and permissions, and shares none with the backup', async (t) => {
  const it = await dataDirectory(t)
  const queueId = await it.accept(400_000)
  const to = join(it.data, '..', 'backup')
  await takeBackup({ data: it.data, to, progress: silently })
  const data = join(it.data, '..', 'restored')
  const { files } = await restoreBackup({ backup: to, data, force: false })
  assert.ok(files > 0)
  assert.deepEqual((await readdir(data)).sort(), ['blobs', 'db', 'demo-accounts.json', 'keys', 'spool'])
  assert.equal((await stat(join(data, 'keys', 'custody.nk'))).mode & 0o777, 0o600)
  const { open, records } = await inBackup(data)
  assert.deepEqual([open, [...records]], [[queueId], [queueId]])
  const chunks = await Array.fromAsync(localBlobs(layoutOf(data).blobs).read('content/ab/one'))
  assert.equal(Buffer.concat(chunks).length, 100_000)
  const large = join('spool', 'files', queueId.slice(-1))
  const [name = ''] = (await readdir(join(data, large))).filter((file) => file.endsWith('.msg'))
  assert.equal((await stat(join(to, large, name))).ino, (await stat(join(it.data, large, name))).ino)
  assert.notEqual((await stat(join(data, large, name))).ino, (await stat(join(to, large, name))).ino)
})

test('a restore is refused where something runs, and where something is, unless that may be put aside', async (t) => {
  const it = await dataDirectory(t)
  const to = join(it.data, '..', 'backup')
  await takeBackup({ data: it.data, to, progress: silently })
  await assert.rejects(restoreBackup({ backup: to, data: it.data, force: false }), DirectoryNotEmpty)
  // Process 1 always runs, and is not this one.
  const started = (await readFile('/proc/1/stat', 'utf8')).split(') ')[1]?.split(' ')[19] ?? ''
  await writeFile(join(it.data, 'postbus.lock'), `1 ${started}`)
  await assert.rejects(restoreBackup({ backup: to, data: it.data, force: true }), DataDirectoryInUse)
  await rm(join(it.data, 'postbus.lock'))
  await writeFile(join(it.data, 'mine'), 'kept')
  const { putAside } = await restoreBackup({ backup: to, data: it.data, force: true })
  assert.equal(await readFile(join(putAside ?? '', 'mine'), 'utf8'), 'kept')
  const unlock = await lockDataDirectory(it.data)
  await unlock()
})

test('a backup that was changed is found out, by a look and by a restore, which then leaves nothing behind', async (t) => {
  const it = await dataDirectory(t)
  await it.accept(400_000)
  const to = join(it.data, '..', 'backup')
  await takeBackup({ data: it.data, to, progress: silently })
  await writeFile(join(to, 'keys', 'custody.nk'), 'SECRET')
  await rm(join(to, 'demo-accounts.json'))
  await writeFile(join(to, 'more'), '')
  assert.deepEqual((await verifyBackup(to)).problems.sort(), [
    '1 files are there that the list does not name',
    'demo-accounts.json is missing',
    'keys/custody.nk has other content',
  ])
  const data = join(it.data, '..', 'restored')
  await assert.rejects(restoreBackup({ backup: to, data, force: false }), BackupDamaged)
  assert.deepEqual(await readdir(data), [])

  await appendFile(join(to, 'manifest.jsonl'), '{"files":1,"bytes":1}\n')
  await assert.rejects(verifyBackup(to), BackupDamaged)
  await rm(join(to, 'manifest.jsonl'))
  await assert.rejects(restoreBackup({ backup: to, data, force: false }), BackupDamaged)
})

test('a list that leads out of the backup is refused', async (t) => {
  const dir = await temporary(t)
  const head = {
    format: 'postbus-backup',
    version: 1,
    begunAt: '2026-01-01T00:00:00Z',
    finishedAt: '2026-01-01T00:00:00Z',
  }
  for (const path of ['../secret', '/etc/passwd', 'a/../../b', 'a//b']) {
    const file = { path, size: 0, mode: 0o600, sha256: '0'.repeat(64) }
    const lines = [head, file, { files: 1, bytes: 0 }].map((line) => `${JSON.stringify(line)}\n`)
    await writeFile(join(dir, 'manifest.jsonl'), lines.join(''))
    await assert.rejects(restoreBackup({ backup: dir, data: join(dir, 'data'), force: false }), BackupDamaged)
  }
})

test('what is no data directory, and what is not empty, is no place for a backup; the command says so', async (t) => {
  const it = await dataDirectory(t)
  await assert.rejects(
    takeBackup({ data: join(it.data, 'db'), to: await temporary(t), progress: silently }),
    BackupImpossible,
  )
  await assert.rejects(takeBackup({ data: it.data, to: it.data, progress: silently }), BackupImpossible)
  let said = ''
  const around = { env: {}, stdout: { write: silently }, stderr: { write: (text: string) => (said += text) } }
  assert.equal(await postbus(['backup', it.data, '--data', it.data], around), 1)
  assert.match(said, /is not empty/)
  const to = join(it.data, '..', 'backup')
  assert.equal(await postbus(['backup', to, '--data', it.data], around), 0)
  assert.equal(await postbus(['backup', to, '--verify'], around), 0)
  await writeFile(join(to, 'keys', 'custody.nk'), 'x')
  assert.equal(await postbus(['backup', to, '--verify'], around), 1)
})

test('what servers keep is theirs to copy: a backup without it is refused, and says what is missing', async (t) => {
  const it = await dataDirectory(t)
  await mkdir(it.layout.run)
  const kept = { BLOBS: 's3://bucket/blobs', SPOOL: it.layout.spool, MAILSTORE_DATABASE: 'postgres://server/mail' }
  await writeFile(it.layout.settings, JSON.stringify({ 'mailstore-1': kept }))
  await assert.rejects(
    takeBackup({ data: it.data, to: join(await temporary(t), 'backup'), progress: silently }),
    /^BackupImpossible: BLOBS, MAILSTORE_DATABASE: in PostgreSQL or S3/,
  )
})
