import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { buffer } from 'node:stream/consumers'

import { DataSink, type DataSocket, OutgoingContent } from './outgoing-content.ts'

const LINE = Buffer.from(`${'.'.padEnd(78, 'x')}\r\n`)
const CHUNK = Buffer.concat(Array.from({ length: 200 }, () => LINE))
const CHUNKS = 2000

/** A connection, both ends; nothing is read until somebody does. */
async function connection(t: TestContext): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const near = connect(address.port, '127.0.0.1')
  const [far] = (await once(server, 'connection')) as [Socket]
  t.after(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return { near, far }
}

/** Content that counts what was read of it. */
function content(chunks: number) {
  const seen = { read: 0, released: false, events: '' }
  async function* body() {
    try {
      for (; seen.read < chunks; seen.read++) yield CHUNK
    } finally {
      seen.released = true
    }
  }
  const outgoing = new OutgoingContent(body(), {
    begun: () => void (seen.events += 'begun '),
    ended: () => void (seen.events += 'ended'),
  })
  return { outgoing, seen }
}

/** Until nothing more is read of it. */
async function stalled(seen: { read: number }): Promise<void> {
  for (let before = -1; before !== seen.read;) {
    before = seen.read
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

test('content waits for a peer that does not read, and all of it arrives once it does', async (t) => {
  const { near, far } = await connection(t)
  const { outgoing, seen } = content(CHUNKS)
  const sink = new DataSink(near)
  outgoing.pipe(sink)
  await stalled(seen)
  assert.ok(seen.read > 0 && seen.read < CHUNKS, `${seen.read} of ${CHUNKS} were read`)
  assert.ok(near.writableLength < 1024 * 1024)

  const received = buffer(far)
  while (!seen.events.endsWith('ended')) await new Promise((resolve) => setImmediate(resolve))
  near.end()
  const wire = await received
  const lines = CHUNKS * 200
  assert.equal(wire.length, lines * (LINE.length + 1) + 3)
  assert.equal(wire.length, sink.outByteCount)
  assert.equal(wire.subarray(-5).toString(), '\r\n.\r\n')
  assert.deepEqual([seen.events, seen.released], ['begun ended', true])
})

test('content that is given up while the peer does not read is released, without the final dot', async (t) => {
  const { near, far } = await connection(t)
  const { outgoing, seen } = content(CHUNKS)
  outgoing.pipe(new DataSink(near))
  await stalled(seen)
  outgoing.destroy()
  await stalled(seen)
  assert.deepEqual([seen.events, seen.released], ['begun ', true])
  near.end()
  assert.notEqual((await buffer(far)).subarray(-5).toString(), '\r\n.\r\n')
})

test('a small message and its final dot are one write', async () => {
  const writes: string[] = []
  let corked: string[] | null = null
  const socket: DataSocket = {
    once: () => assert.fail('it never has to wait'),
    cork: () => void (corked = []),
    write(piece: Uint8Array) {
      ;(corked ?? writes).push(Buffer.from(piece).toString())
      return true
    },
    uncork() {
      writes.push(corked?.join('') ?? '')
      corked = null
    },
  }
  const sink = new DataSink(socket)
  sink.write(Buffer.from('Signature: x\r\n'))
  sink.write(Buffer.from('Subject: y\r\n\r\n.z\r\n'))
  sink.end()
  assert.deepEqual(writes, ['Signature: x\r\nSubject: y\r\n\r\n..z\r\n.\r\n'])
})
