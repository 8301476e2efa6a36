import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { test, type TestContext } from 'node:test'

import { whyNotFree } from './ports.ts'

const host = '127.0.0.1'

async function listening(t: TestContext): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, host)
  t.after(() => server.close())
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

test('a port that another program has is named', async (t) => {
  const { port } = await listening(t)
  const told: string[] = []
  const { signal } = new AbortController()
  const why = await whyNotFree([{ host, port }], { ms: 0, signal, waiting: (line) => told.push(line) })
  assert.equal(why, `port ${port} of 127.0.0.1 is in use by another program`)
})

test('a port that becomes free is waited for, and said once', async (t) => {
  const { server, port } = await listening(t)
  const told: string[] = []
  const { signal } = new AbortController()
  const waiting = (line: string): void => {
    told.push(line)
    server.close()
  }
  assert.equal(await whyNotFree([{ host, port }], { ms: 20_000, signal, waiting }), null)
  assert.equal(told.length, 1)
})

test('an address that this machine does not have is named at once', async () => {
  const { signal } = new AbortController()
  const waiting = (): void => assert.fail('nothing to wait for')
  const why = await whyNotFree([{ host: '192.0.2.1', port: 40_025 }], { ms: 20_000, signal, waiting })
  assert.equal(why, 'cannot listen on 192.0.2.1 port 40025 (EADDRNOTAVAIL)')
})

test('who is told to stop does not wait for a port', async (t) => {
  const { port } = await listening(t)
  const stop = new AbortController()
  const waiting = (): void => stop.abort()
  assert.equal(await whyNotFree([{ host, port }], { ms: 20_000, signal: stop.signal, waiting }), null)
})
