import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import { untilReady } from './readiness.ts'

test('who is waited for long is told once, with its reason, and waited for until it is ready', async (t) => {
  let ready = false
  const server = createServer((_, response) => {
    response.statusCode = ready ? 200 : 503
    response.end('too little space is left\n')
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const instances = [{ name: 'inbound', healthPort: (server.address() as AddressInfo).port }]
  const told: string[] = []
  const slow = (why: string): void => {
    told.push(why)
    ready = true
  }
  const { signal } = new AbortController()
  assert.equal(await untilReady('127.0.0.1', instances, { timeoutMs: 30_000, slowMs: 0, slow, signal }), null)
  assert.deepEqual(told, ['inbound (too little space is left)'])
  ready = false
  const refused = await untilReady('127.0.0.1', instances, { timeoutMs: 0, slowMs: 30_000, slow, signal })
  assert.equal(refused, 'not ready in time: inbound (too little space is left)')
})
