import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MessageBody } from './message-body.ts'

const piece = (octets: number): Buffer => Buffer.alloc(octets, 'x')

async function read(body: MessageBody): Promise<number> {
  let octets = 0
  for await (const chunk of body) octets += chunk.length
  return octets
}

test('everything pushed is read in order, before and while somebody reads', async () => {
  const body = new MessageBody()
  void body.push([Buffer.from('a'), Buffer.from('b')])
  const reading = Array.fromAsync(body, String)
  await Promise.resolve()
  void body.push([Buffer.from('c')])
  void body.push([Buffer.from('d')])
  body.end()
  assert.equal((await reading).join(''), 'abcd')
  assert.equal(body.size, 4)
})

test('a slow reader stops the writer until it has caught up', async () => {
  const body = new MessageBody()
  assert.equal(body.push([piece(1000)]), undefined)
  const full = body.push([piece(300_000)])
  assert.ok(full)
  let released = false
  const waiting = full.then(() => {
    released = true
  })
  await body.next()
  assert.equal(released, false)
  await body.next()
  await waiting
  body.end()
})

test('a failure reaches a reader that waits, one that comes later, and a writer that waits', async () => {
  const body = new MessageBody()
  const reading = read(body)
  body.fail(new Error('gone'))
  await assert.rejects(reading, /gone/)
  await assert.rejects(read(body), /gone/)

  const full = new MessageBody()
  const waiting = full.push([piece(300_000)])
  full.fail(new Error('gone'))
  await waiting
  await assert.rejects(read(full), /gone/)
})

test('after the end there is nothing to fail', async () => {
  const body = new MessageBody()
  void body.push([piece(5)])
  body.end()
  body.fail(new Error('connection closed'))
  assert.equal(await read(body), 5)
})

test('a reader that leaves early holds nobody up', async () => {
  const body = new MessageBody()
  const waiting = body.push([piece(300_000)])
  for await (const _ of body) break
  await waiting
  assert.equal(body.push([piece(300_000)]), undefined)
  assert.equal(body.size, 600_000)
})
