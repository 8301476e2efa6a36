import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { localBlobs } from '@postbus/blobs'
import { pino } from 'pino'
import { Registry } from '@postbus/metrics'

import type { MailStorage } from '../mailbox/storage.ts'
import { mailstoreMetrics } from '../metrics.ts'
import { index, purge, sweep } from './housekeeping.ts'
import { contentKeyTime, newContentKey } from './spool-contents.ts'

const never = new AbortController().signal
const HOUR = 3_600_000

function ports(t: TestContext, storage: Partial<MailStorage>) {
  const directory = mkdtempSync(join(tmpdir(), 'postbus-blobs-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const blobs = localBlobs(directory)
  const unused = async () => assert.fail('not to be asked')
  const full = { read: unused, write: unused, index: unused, close: unused, ...storage }
  const put = async (key: string) => {
    const body = async function* () {
      yield Buffer.from('bytes')
    }
    await blobs.put(key, body())
    return key
  }
  const kept = async () => (await Array.fromAsync(blobs.list(''))).map(({ key }) => key).sort()
  const registry = new Registry()
  const metrics = mailstoreMetrics(registry)
  return { registry, ports: { storage: full, blobs, log: pino({ level: 'silent' }), metrics }, put, kept }
}

const ages = {
  ...{ purgeMs: 1, undeleteMs: 1, blobGraceMs: 1, sweepMs: 1, stagedAgeMs: HOUR, orphanAgeMs: HOUR },
  ...{ indexMs: 1, indexShare: 1 },
}
const oldKey = (name: string) => `content/xx/${name}.${(Date.now() - 2 * HOUR).toString(36)}.abc`

test('blobs are taken away before the note that they are to go', async (t) => {
  const steps: string[][] = []
  const answers = [
    { rows: 3, blobs: ['content/xx/a'] },
    { rows: 0, blobs: [] },
  ]
  const {
    ports: all,
    put,
    kept,
  } = ports(t, {
    write: async (_kind, input) => {
      const removed = (input as { removed: string[] }).removed
      steps.push(removed)
      assert.deepEqual(await kept(), removed.length > 0 ? ['content/xx/b'] : ['content/xx/a', 'content/xx/b'])
      return { kind: 'ok', value: answers.shift(), changes: [] } as never
    },
  })
  await put('content/xx/a')
  await put('content/xx/b')
  await purge(all, { undeleteMs: 1000, blobGraceMs: 1000 }, never)
  assert.deepEqual(steps, [[], ['content/xx/a']])
})

test('only old blobs that no message names are orphans, however old their file is', async (t) => {
  const asked: string[][] = []
  const {
    ports: all,
    put,
    kept,
  } = ports(t, {
    read: async (_kind, input) => {
      const { blobs } = input as { blobs: string[] }
      asked.push(blobs)
      return blobs.filter((key) => key.includes('named')) as never
    },
  })
  const fresh = await put(newContentKey('fresh'))
  const named = await put(oldKey('named'))
  const orphan = await put(oldKey('orphan'))
  const foreign = await put('content/xx/no-time')
  const staged = await put('staged/new')
  await sweep(all, ages, never)
  assert.deepEqual(asked.flat().sort(), [named, orphan].sort())
  assert.deepEqual(await kept(), [fresh, named, foreign, staged].sort())
})

test('staged literals go when they are old', async (t) => {
  const { ports: all, put, kept } = ports(t, { read: async () => [] as never })
  await put('staged/old')
  await sweep(all, { ...ages, stagedAgeMs: 0 }, never)
  assert.deepEqual(await kept(), [])
})

test('a content key says when it was made', () => {
  const before = Date.now()
  const time = contentKeyTime(newContentKey('01J9ZK3V8Q6X4T2M7N5R1C0B9A'))
  assert.ok(time >= before && time <= Date.now())
})

test('indexing goes on until there is no more', async (t) => {
  const steps = [
    { texts: 5, unreadable: 1, more: true },
    { texts: 3, unreadable: 0, more: false },
  ]
  const { ports: all, registry } = ports(t, { index: async () => steps.shift() ?? assert.fail('nothing more to do') })
  await index(all, 1, never)
  assert.equal(steps.length, 0)
  const { values = [] } = (await registry.getSingleMetric('mail_mailstore_indexed_texts_total')?.get()) ?? {}
  assert.deepEqual(
    values.map(({ labels, value }) => [labels['outcome'], value]),
    [
      ['read', 7],
      ['unreadable', 1],
    ],
  )
})
