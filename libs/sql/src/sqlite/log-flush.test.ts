import assert from 'node:assert/strict'
import { fdatasyncSync, statSync } from 'node:fs'
import { test, type TestContext } from 'node:test'

import { StorageFailed, temporaryFile } from '../index.ts'
import { Connection } from './connection.ts'
import { LogFlush } from './log-flush.ts'

/** A connection with a log, and flushes that end when the test says so. */
function world(t: TestContext) {
  const path = temporaryFile(t)
  const options = { readOnly: false, cacheBytes: 1 << 20, mmapBytes: 0, checkpointPages: 4000, flushInCommit: false }
  const connection = new Connection(path, options)
  const flushes: { end(): void; fail(): void }[] = []
  const log = new LogFlush(path, async (descriptor) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    flushes.push({ end: resolve, fail: () => reject(new Error('EIO')) })
    await promise
    fdatasyncSync(descriptor)
  })
  t.after(async () => {
    for (const { end } of flushes) end()
    await log.close()
    connection.close()
  })
  connection.exec('create table item (id integer primary key) strict')
  return { connection, log, flushes, logBytes: () => statSync(`${path}-wal`).size }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('what is written while a flush is under way waits for the next one, which all of it shares', async (t) => {
  const { log, flushes } = world(t)
  const done: string[] = []
  const first = log.flush().then(() => done.push('first'))
  await turn()
  const others = ['second', 'third'].map((name) => log.flush().then(() => done.push(name)))
  await turn()
  assert.equal(flushes.length, 1)
  flushes[0]?.end()
  await first
  await turn()
  assert.deepEqual([done, flushes.length], [['first'], 2])
  flushes[1]?.end()
  await Promise.all(others)
  assert.equal(log.pending, null)
})

test('after a flush that failed none is believed until the log was copied into the file', async (t) => {
  const { connection, log, flushes, logBytes } = world(t)
  const failing = log.flush()
  await turn()
  const behind = log.flush()
  flushes[0]?.fail()
  await assert.rejects(failing, StorageFailed)
  await assert.rejects(behind, StorageFailed)
  await assert.rejects(log.flush(), StorageFailed)
  assert.deepEqual([log.unsure, flushes.length], [true, 1])
  assert.ok(logBytes() > 0)

  connection.checkpoint()
  assert.equal(logBytes(), 0)
  log.restored()
  const again = log.flush()
  await turn()
  flushes[1]?.end()
  await again
})

test('what a process left unflushed is flushed when the file is opened', async (t) => {
  const path = temporaryFile(t)
  const options = { readOnly: false, cacheBytes: 1 << 20, mmapBytes: 0, checkpointPages: 4000, flushInCommit: false }
  const connection = new Connection(path, options)
  connection.exec('create table item (id integer primary key) strict')
  let flushes = 0
  const log = new LogFlush(path, async () => void flushes++)
  t.after(async () => {
    await log.close()
    connection.close()
  })
  await log.pending
  assert.equal(flushes, 1)
})
