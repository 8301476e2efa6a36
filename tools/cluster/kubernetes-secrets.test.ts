/** The Kubernetes API as the Job `keys` uses it, over TLS with the token of its account. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { serveSecrets, type SecretsApi } from '../k8s/trial/api.ts'
import { filedSecrets } from './filed-secrets.ts'
import { ApiRefused, kubernetesSecrets } from './kubernetes-secrets.ts'
import { ensure, follow, type Secrets } from './secrets.ts'

const HOST = '127.0.0.1'

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'postbus-secrets-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

async function api(t: TestContext): Promise<{ api: SecretsApi; accountDir: string; open(): Promise<Secrets> }> {
  const served = await serveSecrets(HOST, 0, 'postbus')
  t.after(() => served.close())
  const accountDir = await directory(t)
  for (const [name, content] of Object.entries(served.account)) await writeFile(join(accountDir, name), content)
  const open = (): Promise<Secrets> =>
    kubernetesSecrets({ host: HOST, port: served.port, accountDir, patienceMs: 60_000 })
  return { api: served, accountDir, open }
}

const kinds: [string, (t: TestContext) => Promise<Secrets>][] = [
  ['Kubernetes', async (t) => (await api(t)).open()],
  ['files', async (t) => filedSecrets(await directory(t))],
]
for (const [kind, open] of kinds) {
  test(`${kind}: what was made is read again as it was`, async (t) => {
    const secrets = await open(t)
    assert.equal(await secrets.get('mail-tls'), undefined)
    assert.equal(await secrets.create('mail-tls', { 'tls.crt': 'a\nb\n', 'tls.key': 'ü' }, 'kubernetes.io/tls'), true)
    assert.deepEqual(await secrets.get('mail-tls'), { 'tls.crt': 'a\nb\n', 'tls.key': 'ü' })
  })

  test(`${kind}: whoever makes it second does not replace it`, async (t) => {
    const secrets = await open(t)
    assert.equal(await secrets.create('key', { nkey: 'first' }), true)
    assert.equal(await secrets.create('key', { nkey: 'second' }), false)
    assert.deepEqual(await secrets.get('key'), { nkey: 'first' })
    assert.deepEqual(await ensure(secrets, 'key', () => ({ nkey: 'third' })), { data: { nkey: 'first' }, made: false })
  })

  test(`${kind}: what follows from other things is replaced when they change, and else left alone`, async (t) => {
    const secrets = await open(t)
    assert.equal(await follow(secrets, 'config', { 'nats-0.conf': '1' }), true)
    assert.equal(await follow(secrets, 'config', { 'nats-0.conf': '1' }), false)
    assert.equal(await follow(secrets, 'config', { 'nats-0.conf': '2' }), true)
    assert.deepEqual(await secrets.get('config'), { 'nats-0.conf': '2' })
  })
}

test('an API that is not there yet is waited for', async (t) => {
  const { api: served, open } = await api(t)
  const secrets = await open()
  served.fail(2)
  assert.equal(await secrets.create('key', { nkey: 'x' }), true)
})

test('a replacement that somebody else overtook is made from what stands then', async (t) => {
  const { api: served, open } = await api(t)
  const secrets = await open()
  await secrets.create('config', { a: '1' })
  served.overtake(1)
  await secrets.replace('config', { a: '2' })
  assert.deepEqual(await secrets.get('config'), { a: '2' })
})

test('a refusal is told in the words of the API, and not tried again', async (t) => {
  const { accountDir, open } = await api(t)
  await writeFile(join(accountDir, 'token'), 'somebody else')
  const secrets = await open()
  await assert.rejects(
    secrets.get('key'),
    (error) => error instanceof ApiRefused && /Secret key cannot be read: 401 Unauthorized/.test(error.message),
  )
})
