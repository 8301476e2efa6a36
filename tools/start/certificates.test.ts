import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect, createServer } from 'node:tls'

import { certificates } from './certificates.ts'

async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-tls-'))
  t.after(() => rm(dir, { recursive: true }))
  return dir
}

test('a client that trusts the authority verifies the server by name and by address', async (t) => {
  const { ca, cert, key } = await certificates(await directory(t), ['localhost', '127.0.0.1'])
  const server = createServer({ cert: await readFile(cert), key: await readFile(key) }, (socket) => socket.end('hello'))
  server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (const servername of ['localhost', '']) {
    const socket = connect({ port, host: '127.0.0.1', ca: await readFile(ca), ...(servername && { servername }) })
    await once(socket, 'secureConnect')
    assert.equal(socket.authorized, true)
    socket.destroy()
  }
})

test('a second start keeps authority and certificate; a new name replaces the certificate only', async (t) => {
  const dir = await directory(t)
  const { ca, cert } = await certificates(dir, ['localhost'])
  const before = [await readFile(ca, 'utf8'), await readFile(cert, 'utf8')]
  await certificates(dir, ['localhost'])
  assert.deepEqual([await readFile(ca, 'utf8'), await readFile(cert, 'utf8')], before)
  await certificates(dir, ['localhost', 'mail.example.org'])
  assert.equal(await readFile(ca, 'utf8'), before[0])
  assert.notEqual(await readFile(cert, 'utf8'), before[1])
})
