import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'

import { Dialogue } from './dialogue.ts'
import { type ContentDialogue, sendContent } from './outgoing-content.ts'

const LINE = Buffer.from(`${'.'.padEnd(78, 'x')}\r\n`)
const CHUNK = Buffer.concat(Array.from({ length: 200 }, () => LINE))
const CHUNKS = 2000
const TIMEOUT_MS = 60_000

/** A connection, both ends; nothing is read at the far one until somebody does. */
async function connection(t: TestContext): Promise<{ near: Dialogue; far: Socket }> {
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
  return { near: new Dialogue(near), far }
}

/** Content that counts what was read of it. */
function content(chunks: number) {
  const seen = { read: 0, released: false }
  async function* body() {
    try {
      for (; seen.read < chunks; seen.read++) yield CHUNK
    } finally {
      seen.released = true
    }
  }
  return { body: body(), seen }
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
  const { body, seen } = content(CHUNKS)
  const sent = sendContent(near, body, TIMEOUT_MS, () => {})
  await stalled(seen)
  assert.ok(seen.read > 0 && seen.read < CHUNKS, `${seen.read} of ${CHUNKS} were read`)
  assert.ok(near.socket.writableLength < 1024 * 1024)

  const received = buffer(far)
  assert.equal(await sent, true)
  near.socket.end()
  const wire = await received
  assert.equal(wire.length, CHUNKS * 200 * (LINE.length + 1) + 3)
  assert.equal(wire.subarray(-5).toString(), '\r\n.\r\n')
  assert.equal(seen.released, true)
})

for (const [what, happens] of Object.entries({
  'a peer that answers too soon': (far: Socket): unknown => far.write('552 too large\r\n'),
  'a peer that goes away': (far: Socket): unknown => far.destroy(),
}))
  test(`content for ${what} is released, without the final dot`, async (t) => {
    const { near, far } = await connection(t)
    const { body, seen } = content(CHUNKS)
    const sent = sendContent(near, body, TIMEOUT_MS, () => assert.fail('it does not end'))
    await stalled(seen)
    happens(far)
    assert.equal(await sent, false)
    assert.equal(seen.released, true)
  })

test('a peer that takes nothing is given up', async (t) => {
  const { near } = await connection(t)
  const { body } = content(CHUNKS)
  assert.equal(await sendContent(near, body, 1, () => assert.fail('it does not end')), false)
  await assert.rejects(near.reply(TIMEOUT_MS), /takes no more data/)
})

test('a small message and its final dot are one write', async () => {
  const writes: string[] = []
  let corked: string[] | null = null
  const dialogue: ContentDialogue = {
    disturbed: false,
    drained: () => assert.fail('it never has to wait'),
    socket: {
      cork: () => void (corked = []),
      write(piece: Uint8Array) {
        ;(corked ?? writes).push(Buffer.from(piece).toString())
        return true
      },
      uncork() {
        writes.push(corked?.join('') ?? '')
        corked = null
      },
    },
  }
  const body = (async function* () {
    yield Buffer.from('Signature: x\r\n')
    yield Buffer.from('Subject: y\r\n\r\n.z\r\n')
  })()
  await sendContent(dialogue, body, TIMEOUT_MS, () => {})
  assert.deepEqual(writes, ['Signature: x\r\nSubject: y\r\n\r\n..z\r\n.\r\n'])
})
