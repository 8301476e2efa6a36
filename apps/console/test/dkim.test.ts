/** `postbus dkim` through its front door, on a real bus, with a directory that says what the test wants. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { activateSigningKey, addSigningKey, type DkimKey, listSigningKeys, removeSigningKey } from '@postbus/contracts'
import { startDnsServer } from '@postbus/testkit'

import { call, createdAt, platform } from './platform.ts'

const dkimKey = (selector: string, more: Partial<DkimKey> = {}): DkimKey => ({
  ...{ domain: 'example.org', selector, algorithm: 'rsa', bits: 2048, state: 'prepared', createdAt },
  recordName: `${selector}._domainkey.example.org`,
  record: `v=DKIM1; k=rsa; p=${'A'.repeat(300)}${selector}`,
  ...more,
})

test('new DKIM keys are printed as a zone file takes them, with what to do next', async (t) => {
  const { data, env, answers } = await platform(t)
  const asked: unknown[] = []
  await answers(addSigningKey, (input) => {
    asked.push(input)
    return { keys: [dkimKey('202601r')] }
  })
  await answers(listSigningKeys, () => ({
    keys: [dkimKey('old', { state: 'active' }), dkimKey('older', { state: 'retired' })],
    more: false,
  }))
  const { status, out } = await call(['dkim', 'add', 'example.org'], env)
  assert.equal(status, 0)
  const [, first, second] = out.split('\n')
  const [, string] = /^202601r\._domainkey\.example\.org\. IN TXT \( "([^"]+)"$/.exec(first ?? '') ?? []
  const [, rest] = /^ {4}"([^"]+)" \)$/.exec(second ?? '') ?? []
  assert.equal(string?.length, 255)
  assert.equal(`${string}${rest}`, dkimKey('202601r').record)
  assert.match(out, new RegExp(`^; value {2}${dkimKey('202601r').record}$`, 'm'))
  assert.match(out, /postbus dkim activate example\.org 202601r$/m)

  const pem = join(data, 'key.pem')
  writeFileSync(pem, 'a PEM')
  await call(['dkim', 'add', 'example.org', '--algorithm', 'ed25519', '--selector', 's'], env)
  await call(['dkim', 'add', 'example.org', '--import', pem, '--selector', 's'], env)
  const rotated = await call(['dkim', 'rotate', 'example.org'], env)
  assert.match(rotated.out, /Leave the record of old published for 7 days/)
  const common = { domain: 'example.org' }
  assert.deepEqual(asked, [
    { ...common, algorithms: ['rsa', 'ed25519'] },
    { ...common, algorithms: ['ed25519'], selector: 's' },
    { ...common, algorithms: ['rsa', 'ed25519'], privateKey: 'a PEM', selector: 's' },
    { ...common, algorithms: ['rsa'] },
  ])
  const record = await call(['dkim', 'record', 'example.org', '--json'], env)
  assert.deepEqual(
    JSON.parse(record.out).map(({ selector }: DkimKey) => selector),
    ['old', 'older'],
  )
})

test('a DKIM key is activated when DNS shows its record, or when forced', async (t) => {
  const { env, answers } = await platform(t)
  const zone = '$ORIGIN example.org.\n@ SOA ns root 1 3600 600 86400 0\n'
  const dns = await startDnsServer(t, zone)
  const key = dkimKey('new')
  const publish = (...strings: string[]): void =>
    dns.load(`${zone}${key.recordName}. 0 TXT ${strings.map((text) => JSON.stringify(text)).join(' ')}\n`)
  const activated: string[] = []
  await answers(listSigningKeys, () => ({ keys: [key], more: false }))
  await answers(activateSigningKey, ({ selector }) => {
    activated.push(selector)
    return { key: dkimKey('new', { state: 'active' }), retired: dkimKey('old', { state: 'retired' }) }
  })
  const activate = (...more: string[]) =>
    call(['dkim', 'activate', 'example.org', 'new', '--dns-server', dns.address, ...more], env)

  const absent = await activate()
  assert.equal(absent.status, 1)
  assert.match(absent.err, /new\._domainkey\.example\.org is not published \(notPublished\)/)
  publish('v=DKIM1; p=other')
  assert.match((await activate()).err, /another record is there: v=DKIM1; p=other/)
  dns.fault('*', 'servfail')
  const unknown = await activate()
  assert.deepEqual([unknown.status, activated.length], [1, 0])
  assert.match(unknown.err, /DNS does not say .*SERVFAIL/)
  await activate('--force')
  assert.deepEqual(activated, ['new'])

  dns.fault('*', null)
  publish(...(key.record.match(/.{1,255}/g) ?? []))
  const { status, out } = await activate()
  assert.equal(status, 0)
  assert.match(out, /^new signs for example\.org now\nLeave the record of old published/)
  assert.equal((await activate('extra')).status, 2)
  assert.equal((await call(['dkim', 'activate', 'example.org', 'none', '--dns-server', dns.address], env)).status, 1)
  assert.equal((await call(['dkim', 'activate', 'example.org', 'new', '--dns-server', 'ns.test'], env)).status, 2)
})

test('DKIM keys are listed to the last page, of one domain or all; a removal says what can go', async (t) => {
  const { env, answers } = await platform(t)
  const all = ['a', 'b', 'c'].map((selector) => dkimKey(selector, { state: 'active', activatedAt: createdAt }))
  const domains: unknown[] = []
  await answers(listSigningKeys, ({ domain, after }) => {
    domains.push(domain)
    const rest = all.filter(({ selector }) => selector > (after?.selector ?? ''))
    return { keys: rest.slice(0, 2), more: rest.length > 2 }
  })
  await answers(removeSigningKey, ({ selector, force }) => dkimKey(`${selector}${force}`))
  const list = await call(['dkim', 'list'], env)
  assert.equal(list.out.trimEnd().split('\n').length, 4)
  assert.match(list.out, /^example\.org +a +rsa +2048 +active +2026-01-05T10:00:00\.000Z$/m)
  await call(['dkim', 'list', 'example.org'], env)
  assert.deepEqual(domains, [undefined, undefined, 'example.org', 'example.org'])
  const removed = await call(['dkim', 'remove', 'example.org', 'a', '--force'], env)
  assert.match(removed.out, /removed atrue; atrue\._domainkey\.example\.org can go/)
})
