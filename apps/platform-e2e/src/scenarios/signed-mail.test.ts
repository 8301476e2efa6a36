/**
 * What users send leaves with two DKIM signatures that opendkim and dkimpy verify, whatever the message is made of; a rotation
 * loses none; and what has no key leaves as it came.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startSmtpSink, type SinkMessage } from '@postbus/testkit'

import { byDkimpy, byOpendkim, type TextRecord } from '../dkim-verifiers.ts'
import { startPlatform, type Ready } from '../platform.ts'
import { postbus } from '../postbus.ts'
import { nameOf, samples } from '../samples.ts'
import { byNodemailer } from '../sending.ts'

interface Key extends TextRecord {
  selector: string
  algorithm: string
}

/** As DNS is not ours to fill, it is not asked. */
async function activate(ready: Ready, keys: readonly Key[]): Promise<void> {
  for (const { selector } of keys) await postbus(ready, 'dkim', 'activate', 'example.org', selector, '--force')
}

const signatures = ({ data }: SinkMessage): number => data.toString('latin1').match(/^DKIM-Signature:/gm)?.length ?? 0

test('mail of users is signed', async (t) => {
  const sink = await startSmtpSink(t)
  const set = { DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}`, DELIVERY_ALLOW_PRIVATE: 'true' }
  const platform = await startPlatform(t, {
    args: Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
  })
  const ready = platform.ready()
  const from = ready.accounts.find(({ address }) => address === 'smith@example.org') ?? assert.fail()
  const verifiers = { opendkim: byOpendkim(t), dkimpy: byDkimpy(t) }
  const send = (bytes: Buffer) => byNodemailer(ready, { from, to: ['fine@far.test'], bytes })
  const records = () => postbus<Key[]>(ready, 'dkim', 'record', 'example.org')
  const sent = samples()
  const plain = sent[0]?.bytes ?? assert.fail()

  await t.test('without a key it leaves as it came', async () => {
    await send(plain)
    const [message] = await sink.received(1)
    assert.ok(message)
    assert.equal(signatures(message), 0)
  })

  const keys = await postbus<Key[]>(ready, 'dkim', 'add', 'example.org')
  await activate(ready, keys)
  const passes = (of: readonly Key[]): string[] =>
    of.map(({ algorithm, selector }) => `${algorithm}-sha256 ${selector} pass`).toSorted()

  await t.test('every sample verifies, with both keys and for both', async () => {
    for (const { bytes } of sent) await send(bytes)
    const messages = (await sink.received(1 + sent.length)).slice(1)
    const published = await records()
    for (const { data, mailParameters } of messages) {
      assert.match(mailParameters, new RegExp(`\\bSIZE=${data.length}\\b`))
      for (const [verifier, verify] of Object.entries(verifiers)) {
        assert.deepEqual((await verify(data, published)).toSorted(), passes(keys), `${nameOf(data)} ${verifier}`)
      }
    }
  })

  await t.test('after a rotation the new keys sign, and what the old ones signed still verifies', async () => {
    const next = await postbus<Key[]>(ready, 'dkim', 'rotate', 'example.org')
    await activate(ready, next)
    await send(plain)
    const messages = await sink.received(2 + sent.length)
    const [before, after] = [messages[1], messages.at(-1)]
    assert.ok(before && after)
    const published = await records()
    for (const verify of Object.values(verifiers)) {
      assert.deepEqual((await verify(before.data, published)).toSorted(), passes(keys))
      assert.deepEqual((await verify(after.data, published)).toSorted(), passes(next))
    }
  })
})
