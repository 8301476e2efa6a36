import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { blobsContract } from './blobs.contract.ts'
import { BlobExists, NoSuchBlob } from './blobs.ts'
import { localBlobs } from './local-blobs.ts'

async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-blobs-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

blobsContract('A local directory', async (t) => localBlobs(join(await directory(t), 'store')))

async function* text(content: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content)
}

test('a file from elsewhere is adopted without copying its bytes, and may be adopted twice', async (t) => {
  const dir = await directory(t)
  const blobs = localBlobs(join(dir, 'store'))
  const record = join(dir, 'record')
  await writeFile(record, 'bytes')
  assert.equal(await blobs.adopt('account/1', { kind: 'file', path: record }), true)
  assert.equal(await blobs.adopt('account/1', { kind: 'file', path: record }), true)
  assert.equal((await stat(record)).nlink, 2)
  await rm(record)
  assert.equal(String(Buffer.concat(await Array.fromAsync(blobs.read('account/1')))), 'bytes')
  await assert.rejects(blobs.adopt('account/2', { kind: 'file', path: record }), NoSuchBlob)
  await writeFile(record, 'other')
  await assert.rejects(blobs.adopt('account/1', { kind: 'file', path: record }), BlobExists)
})

test('a file of another file system is not adopted, so that its bytes can be put', async (t) => {
  const dir = await directory(t)
  const far = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'postbus-blobs-'))
  t.after(() => rm(far, { recursive: true, force: true }))
  const record = join(far, 'record')
  await writeFile(record, 'bytes')
  const near = (await stat(far)).dev === (await stat(dir)).dev
  assert.equal(await localBlobs(dir).adopt('key', { kind: 'file', path: record }), near)
})

test('no temporary file stays, neither after success nor after failure', async (t) => {
  const dir = await directory(t)
  const blobs = localBlobs(dir)
  await blobs.put('key', text('x'))
  await blobs.put('key', text('y')).catch(() => {})
  assert.deepEqual(await readdir(join(dir, 'tmp~~')), [])
})

test('what a crash left unfinished is swept once it is old, and is never listed', async (t) => {
  const dir = await directory(t)
  const blobs = localBlobs(dir)
  assert.equal(await blobs.sweep(new Date()), 0)
  await blobs.put('key', text('x'))
  const left = join(dir, 'tmp~~', 'left')
  await writeFile(left, 'half')
  const old = new Date(Date.now() - 3600_000)
  await utimes(left, old, old)
  assert.equal((await Array.fromAsync(blobs.list(''))).length, 1)
  assert.equal(await blobs.sweep(new Date(old.getTime() - 1)), 0)
  assert.equal(await blobs.sweep(new Date(old.getTime() + 1)), 1)
  assert.equal(await blobs.size('key'), 1)
})

test('flat keys are spread over directories', async (t) => {
  const dir = await directory(t)
  const blobs = localBlobs(dir)
  for (let n = 0; n < 64; n++) await blobs.put(`key-${n}`, text('x'), { durable: false })
  const shards = (await readdir(dir)).filter((name) => name.startsWith('shard~'))
  assert.ok(shards.length > 30, `${shards.length} directories`)
})

test('a reader that stops early leaves no file open', async (t) => {
  const dir = await directory(t)
  const blobs = localBlobs(dir)
  await blobs.put('key', text('x'.repeat(200_000)))
  const openFiles = async () => (await readdir('/proc/self/fd')).length
  const before = await openFiles()
  for (let n = 0; n < 20; n++) for await (const _ of blobs.read('key')) break
  assert.ok((await openFiles()) <= before + 1)
})
