import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'

import { keyPair, readPrivateKey } from './key-pair.ts'
import { isSelector, keyRecord, recordHoldsKey } from './key-record.ts'

test('a record holds our key whatever tags, blanks and defaults others wrote', () => {
  const record = keyRecord('rsa', 'MIIBIjAN/+==')
  for (const found of [
    record,
    'v=DKIM1;k=rsa;p=MIIBIjAN/+==',
    'p=MIIBIjAN/+==',
    'v=DKIM1; t=y; h=sha256; p=MIIB IjAN\t/+== ; n=note',
  ])
    assert.ok(recordHoldsKey(found, record), found)
  for (const found of [
    '',
    'v=DKIM1; p=',
    'v=DKIM1; k=ed25519; p=MIIBIjAN/+==',
    'v=DKIM2; p=MIIBIjAN/+==',
    'v=spf1 -all',
  ])
    assert.ok(!recordHoldsKey(found, record), found)
})

test('selectors are labels in lower case', () => {
  for (const selector of ['202601r', 's1', 'a.b-c']) assert.ok(isSelector(selector), selector)
  for (const selector of ['', 'S1', '-a', 'a-', 'a..b', 'a_b', 'a b', 'a;b', 'x'.repeat(64)])
    assert.ok(!isSelector(selector), selector)
})

test('a key comes back as it was made; Ed25519 is published bare', async () => {
  for (const algorithm of ['rsa', 'ed25519'] as const) {
    const pair = await keyPair(algorithm)
    assert.deepEqual(readPrivateKey(pair.privateKey), pair)
    assert.equal(Buffer.from(pair.publicKey, 'base64').length === 32, algorithm === 'ed25519')
  }
})

test('what cannot sign is refused with the reason', () => {
  const pem = (key: { export(options: { type: 'pkcs8'; format: 'pem' }): unknown }): string =>
    String(key.export({ type: 'pkcs8', format: 'pem' }))
  const { privateKey } = generateKeyPairSync('ed25519')
  const passphrase = { cipher: 'aes-256-cbc', passphrase: 'correct horse' }
  const encrypted = privateKey.export({ type: 'pkcs8', format: 'pem', ...passphrase }).toString()
  const cases: [pem: string, reason: RegExp][] = [
    ['nonsense', /no private key in PEM/],
    [encrypted, /without a passphrase/],
    [pem(generateKeyPairSync('rsa', { modulusLength: 768 }).privateKey), /768 bits/],
    [pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey), /neither an RSA/],
  ]
  for (const [text, reason] of cases) {
    const read = readPrivateKey(text)
    assert.ok('fault' in read && reason.test(read.fault), String(reason))
  }
})
