import assert from 'node:assert/strict'
import { test } from 'node:test'

import { reverseNames, type ReverseNameOptions } from './reverse-name.ts'

const silent = (): Promise<never> => new Promise(() => {})

function names(options: Partial<ReverseNameOptions> = {}) {
  const asked: string[] = []
  const pointers: Record<string, string[]> = {
    '192.0.2.1': ['Mail.Example.com'],
    '192.0.2.2': ['liar.example.com'],
    '192.0.2.3': ['evil.example\r\nX: y', 'mail3.example.com'],
    '2001:db8::1': ['mail6.example.com'],
  }
  const hosts: Record<string, string[]> = {
    'mail.example.com': ['192.0.2.1'],
    'liar.example.com': ['198.51.100.1'],
    'mail3.example.com': ['192.0.2.3'],
    'mail6.example.com': ['2001:db8::1'],
  }
  const forward = async (name: string): Promise<string[]> => hosts[name.toLowerCase()] ?? []
  const reverseName = reverseNames({
    timeoutMs: 1000,
    cacheEntries: 10,
    cacheMs: 1000,
    maxLookups: 10,
    now: () => 0,
    resolver: {
      async reverse(address: string) {
        asked.push(address)
        return pointers[address] ?? Promise.reject(new Error('ENOTFOUND'))
      },
      resolve4: forward,
      resolve6: forward,
    },
    ...options,
  })
  return { reverseName, asked }
}

test('a name counts only if it leads back to the address', async () => {
  const { reverseName } = names()
  assert.equal(await reverseName('192.0.2.1'), 'mail.example.com')
  assert.equal(await reverseName('2001:db8::1'), 'mail6.example.com')
  assert.equal(await reverseName('192.0.2.2'), null)
  assert.equal(await reverseName('192.0.2.9'), null)
})

test('what is no host name is never passed on', async () => {
  assert.equal(await names().reverseName('192.0.2.3'), 'mail3.example.com')
})

test('nobody is asked about this machine', async () => {
  const { reverseName, asked } = names()
  for (const address of ['127.0.0.1', '::1', 'fe80::1', 'nonsense']) assert.equal(await reverseName(address), null)
  assert.deepEqual(asked, [])
})

test('a resolver that does not answer costs the time limit, and no more look-ups than allowed', async () => {
  const resolver = { reverse: silent, resolve4: silent, resolve6: silent }
  const { reverseName } = names({ timeoutMs: 20, maxLookups: 1, resolver })
  const first = reverseName('192.0.2.1')
  assert.equal(await reverseName('192.0.2.2'), null)
  assert.equal(await first, null)
})

test('answers are remembered for a while, and not too many of them', async () => {
  let now = 0
  const { reverseName, asked } = names({ now: () => now, cacheEntries: 1 })
  await reverseName('192.0.2.1')
  await reverseName('192.0.2.1')
  assert.equal(asked.length, 1)
  await reverseName('2001:db8::1')
  await reverseName('192.0.2.1')
  assert.equal(asked.length, 3)
  now = 1000
  await reverseName('192.0.2.1')
  assert.equal(asked.length, 4)
})
