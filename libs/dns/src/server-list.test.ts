import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { parseServer, parseSystemFile, serverList, serverName } from './server-list.ts'

test('a server is an address with or without a port, never a name', () => {
  assert.deepEqual(parseServer('192.0.2.1'), { address: '192.0.2.1', port: 53 })
  assert.deepEqual(parseServer('192.0.2.1:5353'), { address: '192.0.2.1', port: 5353 })
  assert.deepEqual(parseServer('2001:db8::1'), { address: '2001:db8::1', port: 53 })
  assert.deepEqual(parseServer('[2001:db8::1]:5353'), { address: '2001:db8::1', port: 5353 })
  for (const text of [
    '',
    'ns.test',
    'ns.test:53',
    '192.0.2.1:0',
    '192.0.2.1:65536',
    '[192.0.2.1]:53',
    '2001:db8::1]:5',
  ])
    assert.equal(parseServer(text), null, text)
})

test('the system names three servers at most, and the local one when it names none', () => {
  const text = [
    '# nameserver 192.0.2.9',
    'nameserver 192.0.2.1',
    'nameserver nonsense',
    'nameserver  2001:db8::1 ; here',
    'options edns0 rotate',
    'nameserver 192.0.2.3\nnameserver 192.0.2.4',
  ].join('\n')
  const { servers, rotate } = parseSystemFile(text)
  assert.deepEqual(servers.map(serverName), ['192.0.2.1:53', '[2001:db8::1]:53', '192.0.2.3:53'])
  assert.equal(rotate, true)
  assert.deepEqual(parseSystemFile('search far.test').servers.map(serverName), ['127.0.0.1:53'])
})

test('the system file is read again when it has changed, and what it said last holds while it is gone', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-dns-'))
  t.after(() => rm(dir, { recursive: true }))
  const systemFile = join(dir, 'resolv.conf')
  let ms = 0
  const list = serverList({ servers: [], systemFile, rotate: false, now: () => ms })
  const names = async (): Promise<string[]> => (await list.order()).map(serverName)
  assert.deepEqual(await names(), ['127.0.0.1:53'])
  await writeFile(systemFile, 'nameserver 192.0.2.1\n')
  assert.deepEqual(await names(), ['127.0.0.1:53'])
  ms += 5000
  assert.deepEqual(await names(), ['192.0.2.1:53'])
  await writeFile(systemFile, 'nameserver 192.0.2.2\nnameserver 192.0.2.3\n')
  ms += 5000
  assert.deepEqual(await names(), ['192.0.2.2:53', '192.0.2.3:53'])
  await rm(systemFile)
  ms += 5000
  assert.deepEqual(await names(), ['192.0.2.2:53', '192.0.2.3:53'])
})

test('servers that share the work begin in turn, and a silent one is last until it answers or time passes', async () => {
  let ms = 0
  const servers = ['a', 'b', 'c'].map((_, index) => ({ address: `192.0.2.${index + 1}`, port: 53 }))
  const [, second] = servers
  assert.ok(second)
  const list = serverList({ servers, systemFile: '', rotate: true, now: () => ms })
  const order = async (): Promise<string> => (await list.order()).map(({ address }) => address.slice(-1)).join('')
  assert.deepEqual([await order(), await order(), await order(), await order()], ['123', '231', '312', '123'])
  list.silent(second)
  assert.deepEqual([await order(), await order()], ['312', '312'])
  list.answered(second)
  assert.equal(await order(), '123')
  list.silent(second)
  ms += 30_000
  assert.equal(await order(), '231')
})
