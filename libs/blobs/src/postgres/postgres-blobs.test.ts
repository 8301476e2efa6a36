import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { StorageBusy, StorageFailed } from '@postbus/sql'
import { type PostgresServer, startPostgres } from '@postbus/testkit'

import { blobsContract } from '../blobs.contract.ts'
import { BlobExists, type BlobStore, NoSuchBlob } from '../blobs.ts'
import { CHUNK_BYTES, serverOf } from './chunks.ts'
import { postgresBlobs } from './postgres-blobs.ts'

function open(t: TestContext, url: string, options: { busyTimeoutMs?: number } = {}): BlobStore {
  const blobs = postgresBlobs(url, { connections: 4, ...options })
  t.after(() => blobs.close())
  return blobs
}

async function store(t: TestContext): Promise<{ server: PostgresServer; blobs: BlobStore }> {
  const server = await startPostgres(t)
  return { server, blobs: open(t, server.url) }
}

blobsContract('PostgreSQL', async (t) => (await store(t)).blobs)

async function* octets(size: number): AsyncGenerator<Uint8Array> {
  for (let left = size; left > 0; left -= 100_000) yield Buffer.alloc(Math.min(left, 100_000), left % 251)
}

const whole = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await Array.fromAsync(pieces))

const LARGE = 5 * CHUNK_BYTES + 7

test('a body that fails leaves no row; what a crash leaves is swept once it is old', async (t) => {
  const { server, blobs } = await store(t)
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* octets(LARGE)
    throw new Error('the client went away')
  }
  await assert.rejects(blobs.put('key', broken()), /the client went away/)
  const rows = (): Promise<string> =>
    server.administer('select (select count(*) from blobs.content), (select count(*) from blobs.chunk)')
  assert.equal(await rows(), '0|0')
  await blobs.put('kept', octets(LARGE))
  await server.administer(
    "insert into blobs.content (begun_at) values (1); insert into blobs.chunk select max(id), 0, 'x' from blobs.content",
  )
  assert.equal(await blobs.sweep(new Date(0)), 0)
  assert.equal(await blobs.sweep(new Date()), 1)
  assert.equal(await rows(), '1|6')
  assert.ok((await whole(blobs.read('kept'))).equals(await whole(octets(LARGE))))
})

test('a deleted blob gives its rows back when nobody can be reading it any more, and not while another key has it', async (t) => {
  const { server, blobs } = await store(t)
  await blobs.put('one', octets(10))
  await blobs.link('one', 'two')
  await blobs.delete('one')
  await blobs.sweep(new Date(0))
  assert.equal(await blobs.size('two'), 10)
  await blobs.delete('two')
  await blobs.sweep(new Date(0))
  assert.equal(await server.administer('select count(*) from blobs.chunk'), '1')
  await server.administer('update blobs.content set gone_at = 1')
  await blobs.sweep(new Date(0))
  assert.equal(await server.administer('select count(*) from blobs.chunk'), '0')
})

test('bytes of another schema of the database are adopted by the server, also twice; those of another server are not', async (t) => {
  const { server, blobs } = await store(t)
  await blobs.put('other', octets(10))
  await server.administer(
    `create schema spool authorization current_user; grant usage on schema spool to public;
     create table spool.chunk (content bigint, number integer, bytes bytea); grant select on spool.chunk to public;
     insert into spool.chunk values (7, 0, 'first '), (7, 1, 'last'), (8, 0, 'other')`,
  )
  const place = { kind: 'postgres', server: serverOf(server.url), table: 'spool.chunk', content: '7' } as const
  assert.equal(await blobs.adopt('content/1', place), true)
  assert.equal(await blobs.adopt('content/1', place), true)
  assert.equal(await blobs.size('content/1'), 10)
  await assert.rejects(blobs.adopt('other', place), BlobExists)
  await assert.rejects(blobs.adopt('content/2', { ...place, content: '9' }), NoSuchBlob)
  assert.equal(await blobs.adopt('content/2', { ...place, server: 'db.example.com:5432/mail' }), false)
  assert.equal(await blobs.adopt('content/2', { kind: 'file', path: '/etc/hostname' }), false)
})

test('two processes that begin at the same time both find their tables', async (t) => {
  const { server } = await store(t)
  const stores = [1, 2, 3].map(() => open(t, server.url))
  await Promise.all(stores.map((blobs, n) => blobs.put(`key-${n}`, octets(10))))
  assert.equal((await Array.fromAsync(open(t, server.url).list(''))).length, 3)
})

test('a server that is gone is a temporary error, and the store works again when it is back', async (t) => {
  const { server, blobs: before } = await store(t)
  const blobs = open(t, server.url, { busyTimeoutMs: 1000 })
  await before.put('before', octets(LARGE))
  await blobs.size('before')
  await server.stop('crash')
  const isTemporary = (error: unknown): boolean => error instanceof StorageBusy || error instanceof StorageFailed
  await assert.rejects(blobs.put('during', octets(10)), isTemporary)
  await assert.rejects(blobs.size('before'), isTemporary)
  await server.start()
  await blobs.put('after', octets(10))
  assert.equal((await whole(blobs.read('before'))).length, LARGE)
})
