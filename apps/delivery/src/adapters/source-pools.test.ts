import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseSourcePools, sourceFor } from './source-pools.ts'

const pools = (text: string) => {
  const parsed = parseSourcePools(text)
  assert.ok(typeof parsed !== 'string', String(parsed))
  return parsed
}
const host = (name: string, address: string) => ({ name, address })

test('a host is always called from the same address of the family it has', () => {
  const all = pools('bulk@out.example.org=192.0.2.1,192.0.2.2;2001:db8::1')
  const chosen = new Set<string>()
  for (let index = 0; index < 50; index++) {
    const mx = host(`mx${index}.test`, '198.51.100.1')
    const source = sourceFor(all, 'bulk', mx)
    assert.deepEqual(sourceFor(all, 'bulk', mx), source)
    assert.ok(source.kind === 'from' && source.helo === 'out.example.org')
    chosen.add(source.address)
  }
  assert.deepEqual([...chosen].sort(), ['192.0.2.1', '192.0.2.2'])
  const six = sourceFor(all, 'bulk', host('mx.test', '2001:db8::9'))
  assert.equal(six.kind === 'from' && six.address, '2001:db8::1')
})

test('mail never leaves from an address that its pool does not have', () => {
  const four = pools('four=192.0.2.1')
  assert.equal(sourceFor(four, 'four', host('mx.test', '2001:db8::9')).kind, 'none')
  assert.equal(sourceFor(four, 'gone', host('mx.test', '198.51.100.1')).kind, 'none')
  assert.equal(sourceFor(four, undefined, host('mx.test', '198.51.100.1')).kind, 'any')
  const all = pools('four=192.0.2.1\ndefault=192.0.2.9')
  const source = sourceFor(all, undefined, host('mx.test', '198.51.100.1'))
  assert.equal(source.kind === 'from' && source.address, '192.0.2.9')
})

test('what is no pool is named', () => {
  assert.match(String(parseSourcePools('bulk')), /'bulk'/)
  assert.match(String(parseSourcePools('bulk=here')), /'here' of pool bulk/)
  assert.match(String(parseSourcePools('a=192.0.2.1 a=192.0.2.2')), /twice/)
  assert.equal(pools('').size, 0)
})
