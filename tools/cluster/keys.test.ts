/** What the Job `keys` leaves, and that it may run again at any time. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'

import { makeKeys, secretsMade, type KeysOptions } from './keys.ts'
import type { SecretData, Secrets } from './secrets.ts'

const options: KeysOptions = {
  MAIL_HOSTNAME: 'mail.example.org',
  BUS_SERVERS: 3,
  BUS_MAX_BYTES: 6 * 1024 ** 3,
  BUS_STORE_DIR: '/data',
  MAIL_OUT_SHARDS: 1,
  CLUSTER_CERTIFICATES: 'make',
}

function inMemory(): { secrets: Secrets; stored: Map<string, SecretData> } {
  const stored = new Map<string, SecretData>()
  return {
    stored,
    secrets: {
      get: async (name) => stored.get(name),
      create: async (name, data) => {
        if (stored.has(name)) return false
        stored.set(name, data)
        return true
      },
      replace: async (name, data) => void stored.set(name, data),
    },
  }
}

const silent = (): void => {}

test('the manifests are told of every Secret and key that is made, and of no other', async () => {
  const { secrets, stored } = inMemory()
  await makeKeys(options, secrets, silent)
  const made = [...stored].map(([name, data]) => [name, Object.keys(data).sort()])
  const told = [...secretsMade(options)].map(([name, keys]) => [name, [...keys].sort()])
  assert.deepEqual(made.sort(), told.sort())
})

test('where others bring the certificates, none is made', async () => {
  const { secrets, stored } = inMemory()
  await makeKeys({ ...options, CLUSTER_CERTIFICATES: 'others' }, secrets, silent)
  assert.deepEqual(
    [...stored.keys()].filter((name) => /tls|authority|-ca$/.test(name)),
    [],
  )
})

test('a second run changes nothing', async () => {
  const { secrets, stored } = inMemory()
  await makeKeys(options, secrets, silent)
  const before = structuredClone(stored)
  await makeKeys(options, secrets, silent)
  assert.deepEqual(stored, before)
})

test('a changed setting changes what follows from it, and no key', async () => {
  const { secrets, stored } = inMemory()
  await makeKeys(options, secrets, silent)
  const before = new Map(stored)
  await makeKeys({ ...options, MAIL_HOSTNAME: 'mx.example.net', MAIL_OUT_SHARDS: 2 }, secrets, silent)
  const changed = [...stored].filter(([name, data]) => data !== before.get(name)).map(([name]) => name)
  assert.deepEqual(changed.sort(), ['mail-tls', 'nats-config'])
})

test('whoever comes second uses what the first one made', async () => {
  const { secrets, stored } = inMemory()
  const together = [makeKeys(options, secrets, silent), makeKeys(options, secrets, silent)]
  await Promise.all(together)
  const seeds = JSON.stringify([...stored].filter(([name]) => name.startsWith('bus-key-')))
  await makeKeys(options, secrets, silent)
  assert.equal(JSON.stringify([...stored].filter(([name]) => name.startsWith('bus-key-'))), seeds)
})

test('only nats-servers have a certificate their routes take', async () => {
  const { secrets, stored } = inMemory()
  await makeKeys(options, secrets, silent)
  const certificateOf = (name: string): X509Certificate => new X509Certificate(stored.get(name)?.['tls.crt'] ?? '')
  const routes = new X509Certificate(stored.get('nats-route-tls')?.['ca.crt'] ?? '')
  const trusted = [...stored.keys()].filter(
    (name) => name.endsWith('-tls') && certificateOf(name).verify(routes.publicKey),
  )
  assert.deepEqual(trusted, ['nats-route-tls'])
  for (const host of ['nats-0.nats-headless', 'nats-1.nats-headless', 'nats-2.nats-headless']) {
    assert.equal(certificateOf('nats-route-tls').checkHost(host), host)
    assert.equal(certificateOf('bus-tls').checkHost(host), host)
  }
})
