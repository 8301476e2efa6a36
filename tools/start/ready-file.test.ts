import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { ReadyFile, type Ready } from './ready-file.ts'

const ready = (router: number): Ready => ({
  profile: 'embedded',
  bus: { url: 'nats://127.0.0.1:9', ca: null },
  ...{ host: '127.0.0.1', metrics: {}, domains: [], accounts: [], ca: 'ca.pem', data: 'data', pids: { router } },
  ports: { mx: 1, submission: 2, submissions: 3, imap: 4, imaps: 5, pop3: 6, pop3s: 7, console: 8, nats: 9 },
})

test('processes that are replaced at once are told of one after the other, and not after the end', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-ready-'))
  t.after(() => rm(dir, { recursive: true }))
  const path = join(dir, 'ready.json')
  const file = new ReadyFile(path)
  await Promise.all([1, 2, 3, 4].map((pid) => file.write(() => ready(pid))))
  assert.equal((JSON.parse(await readFile(path, 'utf8')) as Ready).pids['router'], 4)
  await Promise.all([file.write(() => ready(5)), file.remove(), file.write(() => ready(6))])
  assert.ok(!existsSync(path))
})
