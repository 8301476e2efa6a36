import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'

import { createLog } from './log.ts'
import { addressMask } from './mask-addresses.ts'

const key = Buffer.from('0123456789abcdef')
const hash = (address: string): string => `#${createHmac('sha256', key).update(address).digest('hex').slice(0, 16)}`

function line(mask: ReturnType<typeof addressMask>, facts: object, message = 'event'): string {
  const lines: string[] = []
  createLog('test', { level: 'info', mask, destination: { write: (text) => void lines.push(text) } }).log.info(
    facts,
    message,
  )
  return lines.join('')
}

test('addresses are hashed in fields, in texts and in errors, alike whatever their case', () => {
  const facts = {
    forwardPath: 'Jones@Example.NET',
    reply: '550 5.1.1 <jones@example.net>: no such user (jones@example.net).',
    err: new Error('cannot reach jones@example.net, sorry'),
  }
  const written = line(addressMask('hash', key), facts, 'failed for jones@example.net')
  assert.doesNotMatch(written, /jones/i)
  assert.equal(written.split(hash('jones@example.net')).length - 1, 6)
  assert.doesNotThrow(() => JSON.parse(written))
})

test('quoted local-parts, address literals and other scripts are addresses too, and lines stay JSON', () => {
  const strange = [
    '"John Q. \\" Doe"@example.net',
    'smith@[192.0.2.1]',
    'smith@[IPv6:2001:db8::1]',
    '用户@例子.测试',
    "o'brien+tag@example.net",
  ]
  for (const address of strange) {
    const written = line(addressMask('hash', key), { forwardPath: address })
    assert.doesNotMatch(written, /@/, address)
    assert.doesNotThrow(() => JSON.parse(written), address)
  }
})

test('with `domain` the local-part goes and the domain stays', () => {
  const written = line(addressMask('domain', null), {
    forwardPath: 'jones@example.net',
    list: ['a@b.example', 'c@d.example'],
  })
  assert.match(written, /"forwardPath":"\*@example\.net"/)
  assert.match(written, /\["\*@b\.example","\*@d\.example"\]/)
})

test('with `full` nothing is looked for', () => {
  assert.equal(addressMask('full', null), null)
})

test('a very long line, of what might begin an address everywhere, is gone through', () => {
  const text = `${'\\"'.repeat(200_000)}${'a.'.repeat(200_000)}@`
  assert.match(line(addressMask('hash', key), { text: `${text} jones@example.net` }), / #[0-9a-f]{16}"/)
})
