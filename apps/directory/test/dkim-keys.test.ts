/** A DKIM key's life on a real bus: prepared, active, retired, gone. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test, type TestContext } from 'node:test'

import {
  activateSigningKey,
  addDomain,
  addSigningKey,
  DirectoryChanged,
  listSigningKeys,
  removeDomain,
  removeSigningKey,
  retireSigningKey,
  signingKeys,
} from '@postbus/contracts'

import { platform } from './harness.ts'

async function example(t: TestContext) {
  const { bus, directory } = await platform(t)
  const { lines } = await directory()
  const [operator, delivery] = [await bus('operator'), await bus('delivery')]
  await operator.request(addDomain, { domain: 'example.org' })
  await operator.request(addDomain, { domain: 'example.net', kind: 'alias', target: 'example.org' })
  const signing = async (...domains: string[]): Promise<string[]> => {
    const { keys } = await delivery.request(signingKeys, { domains })
    return keys.map(({ domain, selector, algorithm }) => `${selector} ${domain} ${algorithm}`)
  }
  return { bus, operator, delivery, lines, signing }
}

const refusedAs = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && 'code' in error, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, text)
  return true
}

test('a key signs when it is activated, replaces the one before, and can be taken back', async (t) => {
  const { operator, signing } = await example(t)
  const { keys } = await operator.request(addSigningKey, { domain: 'Example.ORG' })
  assert.deepEqual(
    keys.map(({ domain, algorithm, bits, state }) => [domain, algorithm, bits, state]),
    [
      ['example.org', 'rsa', 2048, 'prepared'],
      ['example.org', 'ed25519', 256, 'prepared'],
    ],
  )
  const [rsa, ed25519] = keys
  assert.ok(rsa && ed25519)
  assert.match(rsa.selector, /^\d{6}r$/)
  assert.equal(rsa.recordName, `${rsa.selector}._domainkey.example.org`)
  assert.match(rsa.record, /^v=DKIM1; k=rsa; p=MIIB/)
  assert.deepEqual(await signing('example.org'), [])

  const name = ({ domain, selector }: typeof rsa) => ({ domain, selector })
  for (const key of keys) await operator.request(activateSigningKey, name(key))
  assert.deepEqual(await signing('far.test', 'example.org'), [
    `${ed25519.selector} example.org ed25519`,
    `${rsa.selector} example.org rsa`,
  ])

  const [next] = (await operator.request(addSigningKey, { domain: 'example.org', algorithms: ['rsa'] })).keys
  assert.ok(next)
  assert.equal(next.selector, `${rsa.selector}2`)
  const { key, retired } = await operator.request(activateSigningKey, name(next))
  assert.deepEqual([key.state, retired?.selector, retired?.state], ['active', rsa.selector, 'retired'])
  assert.ok((await signing('example.org')).includes(`${next.selector} example.org rsa`))
  await operator.request(activateSigningKey, name(rsa))
  assert.ok((await signing('example.org')).includes(`${rsa.selector} example.org rsa`))
})

test('what signs, or signed lately, is not removed by accident', async (t) => {
  const { operator, signing } = await example(t)
  const key = { domain: 'example.net', selector: 's1' }
  await operator.request(addSigningKey, { ...key, algorithms: ['ed25519'] })
  await assert.rejects(operator.request(retireSigningKey, key), refusedAs('invalid', /never signed/))
  await operator.request(activateSigningKey, key)
  assert.deepEqual(await signing('example.net', 'example.org'), ['s1 example.net ed25519'])
  await assert.rejects(operator.request(removeSigningKey, { ...key, force: true }), refusedAs('inUse', /s1 signs/))
  await assert.rejects(operator.request(removeDomain, { domain: 'example.net' }), refusedAs('inUse', /DKIM key s1/))
  assert.equal((await operator.request(retireSigningKey, key)).state, 'retired')
  assert.deepEqual(await signing('example.net'), [])
  await assert.rejects(operator.request(removeSigningKey, key), refusedAs('tooSoon', /about until/))
  await operator.request(removeSigningKey, { ...key, force: true })
  await assert.rejects(operator.request(activateSigningKey, key), refusedAs('noSuchKey', /no key s1/))
  await operator.request(addSigningKey, { ...key, algorithms: ['ed25519'] })
  await operator.request(removeSigningKey, key)
  await operator.request(removeDomain, { domain: 'example.net' })
})

test('a given key is taken as it is; what cannot sign is refused', async (t) => {
  const { operator, delivery, lines } = await example(t)
  const pem = (bits: number): string =>
    generateKeyPairSync('rsa', { modulusLength: bits }).privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const add = (more: object) => operator.request(addSigningKey, { domain: 'example.org', ...more })
  const { keys } = await add({ privateKey: pem(1024), selector: 'Old.Mail' })
  assert.deepEqual([keys[0]?.selector, keys[0]?.bits], ['old.mail', 1024])
  await operator.request(activateSigningKey, { domain: 'example.org', selector: 'old.mail' })
  const [key] = (await delivery.request(signingKeys, { domains: ['example.org'] })).keys
  assert.match(key?.privateKey ?? '', /^-----BEGIN PRIVATE KEY-----\n/)
  assert.doesNotMatch(JSON.stringify(lines), /PRIVATE/)

  const one = { algorithms: ['ed25519'] }
  await assert.rejects(add({ ...one, selector: 'old.mail' }), refusedAs('exists', /^selector:/))
  await assert.rejects(add({ ...one, selector: 'no_good' }), refusedAs('invalid', /^selector:/))
  await assert.rejects(add({ selector: 'both' }), refusedAs('invalid', /one key/))
  await assert.rejects(add({ privateKey: 'nonsense' }), refusedAs('invalid', /^privateKey:/))
  await assert.rejects(add({ privateKey: pem(768) }), refusedAs('invalid', /768 bits/))
  await assert.rejects(add({ domain: 'far.test' }), refusedAs('noSuchDomain', /none of ours/))
})

test('keys are listed by page without their private parts, and a change is hinted', async (t) => {
  const { bus, operator } = await example(t)
  const hinted = new Promise<void>(
    (resolve) => void bus('imap').then((imap) => imap.listen(DirectoryChanged, () => resolve())),
  )
  for (const domain of ['example.org', 'example.net']) {
    for (const selector of ['b', 'a'])
      await operator.request(addSigningKey, { domain, selector, algorithms: ['ed25519'] })
  }
  const names = (keys: readonly { domain: string; selector: string }[]): string[] =>
    keys.map(({ domain, selector }) => `${selector}.${domain}`)
  const first = await operator.request(listSigningKeys, { limit: 3 })
  assert.deepEqual([names(first.keys), first.more], [['a.example.net', 'b.example.net', 'a.example.org'], true])
  const rest = await operator.request(listSigningKeys, { after: { domain: 'example.org', selector: 'a' } })
  assert.deepEqual([names(rest.keys), rest.more], [['b.example.org'], false])
  assert.deepEqual(names((await operator.request(listSigningKeys, { domain: 'EXAMPLE.net' })).keys), [
    'a.example.net',
    'b.example.net',
  ])
  assert.doesNotMatch(JSON.stringify([first, rest]), /private/i)
  await hinted
})

test('nobody but delivery asks for private keys', async (t) => {
  const { bus, operator } = await example(t)
  const router = await bus('router')
  for (const other of [operator, router]) {
    await assert.rejects(other.request(signingKeys, { domains: ['example.org'] }, { timeoutMs: 300 }))
  }
})
