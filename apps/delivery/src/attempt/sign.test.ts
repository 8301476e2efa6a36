import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { test } from 'node:test'

import { keyPair, type SigningKey } from '@postbus/mail-auth'

import { taskTo } from '../../test/samples.ts'
import { signer } from './sign.ts'

const privateKey = createPrivateKey((await keyPair('ed25519')).privateKey)
const keyOf = (domain: string): SigningKey => ({ domain, selector: 's', algorithm: 'ed25519', privateKey })

function world(domains: readonly string[], maxRemembered = 10) {
  const asked: string[][] = []
  const counted: string[] = []
  const state: { generation: number; failing: Error | null } = { generation: 0, failing: null }
  let read = 0
  const sign = signer(
    {
      async keysOf(names) {
        if (state.failing) throw state.failing
        asked.push([...names])
        return names.filter((name) => domains.includes(name)).map(keyOf)
      },
      generation: () => state.generation,
      now: () => new Date(0),
      signed: (result) => void counted.push(result),
    },
    maxRemembered,
  )
  const body = (header: string) =>
    async function* (): AsyncGenerator<Uint8Array> {
      read++
      yield Buffer.from(`${header}Subject: x\r\n\r\nhello\r\n`)
    }
  let messages = 0
  /** The domains that sign a new message. */
  const signing = async (header: string, changes: object = {}): Promise<string[]> => {
    const queueId = `01J9ZK3V8Q6X4T2M7N5R1${String(++messages).padStart(5, '0')}`
    const fields = await sign(taskTo('x@far.test', { queueId, ...changes }), 'asIs', body(header))
    return [...fields.matchAll(/\bd=([^;]+);/g)].map(([, domain]) => domain ?? '')
  }
  return { asked, counted, state, sign, body, signing, reads: () => read }
}

test('the author’s domain signs, without one the reverse-path’s', async () => {
  const { signing } = world(['example.org', 'example.net', 'xn--bcher-kva.test'])
  const from = (value: string): string => `From: ${value}\r\n`
  const org = { reversePath: 'smith@example.org' }
  assert.deepEqual(await signing(from('Smith <smith@Example.NET>'), org), ['example.net'])
  assert.deepEqual(await signing(from('x@b\u00fccher.test'), org), ['xn--bcher-kva.test'])
  assert.deepEqual(await signing(from('a@example.net, b@far.test, "c@d" <c@example.org>')), [
    'example.net',
    'example.org',
  ])
  assert.deepEqual(await signing(from('Us: a@example.net;'), { reversePath: '' }), ['example.net'])
  assert.deepEqual(await signing(from('x@sub.example.org'), org), ['example.org'])
  assert.deepEqual(await signing('', org), ['example.org'])
  assert.deepEqual(await signing(from('x@[192.0.2.1]'), { reversePath: '' }), [])
  assert.deepEqual(await signing(from('x@far.test'), { reversePath: 'x@far.test' }), [])
  assert.deepEqual(await signing(from('nothing of an address'), { reversePath: '' }), [])
})

test('reports are signed, what others sent through us is not', async () => {
  const { signing, asked } = world(['example.org'])
  const from = 'From: smith@example.org\r\n'
  assert.deepEqual(await signing(from, { origin: 'report', reversePath: '' }), ['example.org'])
  assert.deepEqual(await signing(from, { origin: 'inbound' }), [])
  assert.equal(asked.length, 1)
})

test('a message to many sites is signed once, until keys may have changed', async () => {
  const { sign, body, reads, state, counted } = world(['example.org'])
  const message = taskTo('x@far.test')
  const from = body('From: smith@example.org\r\n')
  const [one, two] = await Promise.all([sign(message, 'asIs', from), sign(message, 'asIs', from)])
  assert.equal(one, two)
  await sign(message, 'asIs', from)
  assert.equal(reads(), 1)
  await sign({ ...message, reversePath: 'owner@example.org' }, 'asIs', from)
  assert.equal(reads(), 2)
  state.generation++
  await sign(message, 'asIs', from)
  assert.equal(reads(), 3)
  assert.deepEqual(counted, ['signed', 'signed', 'signed'])
})

test('what is remembered is bounded, and a failure is not', async () => {
  const { sign, body, reads, state } = world(['example.org'], 1)
  const [one, two] = [taskTo('x@far.test'), taskTo('x@far.test', { reversePath: 'b@example.org' })]
  const from = body('From: smith@example.org\r\n')
  for (const message of [one, two, one]) await sign(message, 'asIs', from)
  assert.equal(reads(), 3)
  state.failing = new Error('no directory')
  await assert.rejects(sign(two, 'asIs', from), /no directory/)
  state.failing = null
  assert.match(await sign(two, 'asIs', from), /^DKIM-Signature/)
})

test('authors’ domains that sign are bounded', async () => {
  const { signing } = world(Array.from({ length: 20 }, (_, index) => `d${index}.test`))
  const from = Array.from({ length: 20 }, (_, index) => `a@d${index}.test`).join(', ')
  assert.equal((await signing(`From: ${from}\r\n`)).length, 5)
})
