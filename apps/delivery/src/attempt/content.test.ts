import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messageOf } from './content.ts'
import type { Form } from './fit.ts'

const eightBit = 'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n'
const bytes = Buffer.from(eightBit)

/** A message whose signature says what it was made over. */
function message(fails = 0) {
  const signed: Form[] = []
  const sign = async (form: Form, body: () => AsyncIterable<Uint8Array>): Promise<string> => {
    signed.push(form)
    if (signed.length <= fails) throw new Error('no keys')
    return `Signed: ${Buffer.concat(await Array.fromAsync(body())).length}\r\n`
  }
  async function* read() {
    yield bytes
  }
  return { signed, ...messageOf(bytes.length, read, sign) }
}

const text = async (read: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(read)).toString()

test('a message is signed once for all hosts, and the signature counts in its size', async () => {
  const { signed, sizeOf, read } = message()
  const front = `Signed: ${bytes.length}\r\n`
  for (let host = 0; host < 3; host++) {
    assert.equal(await sizeOf('asIs'), bytes.length + front.length)
    assert.equal(await text(read('asIs')), front + eightBit)
  }
  assert.deepEqual(signed, ['asIs'])
})

test('what is converted is signed as it is sent', async () => {
  const { signed, sizeOf, sevenBit, read } = message()
  assert.equal(await sevenBit(), null)
  const size = await sizeOf('sevenBit')
  const sent = await text(read('sevenBit'))
  assert.equal(Buffer.byteLength(sent), size)
  assert.match(sent, /^Signed: \d+\r\nContent-Type: text\/plain/)
  assert.match(sent, /quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n$/)
  assert.deepEqual(signed, ['sevenBit'])
})

test('nothing can be read whose size was not asked for', async () => {
  assert.throws(() => message().read('asIs'), /size/)
  const { sizeOf, read } = message(1)
  await assert.rejects(sizeOf('asIs'), /no keys/)
  assert.throws(() => read('asIs'), /size/)
})
