import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'

import { testCertificate } from '@postbus/testkit'

import { type CertificateFiles, judgeCertificate } from './certificates.ts'

const DAY_MS = 24 * 3600_000
const [root = ''] = rootCertificates

test('dates, names, key and chain of a certificate', async (t) => {
  const { certFile, keyFile } = await testCertificate(t)
  const [certificate, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
  const other = await testCertificate(t)
  const well: CertificateFiles = { file: 'server.pem', certificate, key, authority: null, names: ['localhost'] }
  const judge = (changes: Partial<CertificateFiles>, days = -0.5): string[] =>
    judgeCertificate({ ...well, ...changes }, Date.now() + days * DAY_MS).map(
      ({ level, found }) => `${level}: ${found}`,
    )
  const own = 'warning: is signed by this platform’s own authority'
  const unknown = 'warning: leads to no authority this machine knows'

  // Valid for a day from now, so it ends soon whenever it is looked at.
  const ends = 'error: ends in 1 days'
  assert.deepEqual(judge({ authority: certificate }), [ends, own])
  assert.deepEqual(judge({}), [ends, unknown])
  assert.deepEqual(judge({ authority: other.ca }), [ends, unknown])
  assert.match(judge({}, 2)[0] ?? '', /^error: ended /)
  assert.match(judge({}, -10)[0] ?? '', /^error: is valid from /)
  assert.deepEqual(judge({ names: ['localhost', 'mail.example.org'] }), [
    ...[ends, 'error: is not for mail.example.org', unknown],
  ])
  assert.deepEqual(judge({ key: await readFile(other.keyFile, 'utf8') }), [
    ...['error: does not belong to its key', ends, unknown],
  ])
  assert.deepEqual(judge({ certificate: `${certificate}\n${other.ca}` }), [
    ...[ends, 'error: is followed by one that did not sign it'],
  ])
  assert.deepEqual(judge({ certificate: 'nothing' }), ['error: holds no certificate'])
  assert.equal(judge({ key: 'nothing' }).length, 1)
})

test('a chain that ends at an authority this machine knows is nothing to tell', async (t) => {
  const { keyFile } = await testCertificate(t)
  const key = await readFile(keyFile, 'utf8')
  const found = judgeCertificate(
    { file: 'server.pem', certificate: root, key, authority: null, names: [] },
    Date.parse('2026-01-05T00:00:00Z'),
  )
  assert.ok(found.every(({ found: text }) => !text.includes('authority')))
})
