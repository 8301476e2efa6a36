/** Delivery through its front door: a real bus, a real spool, and an SMTP sink as the smarthost. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { type Bus, BusUnavailable } from '@postbus/bus'
import { explainRoute, laneOf, MailHold, QueueId, type Transport, transports } from '@postbus/contracts'
import { keyPair, keyRecord, keyRecordName } from '@postbus/mail-auth'
import { type SmtpSink, startDnsServer, startSmtpSink } from '@postbus/testkit'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import type { z } from 'zod'

import { platform, queueId, type RecipientStatus } from './platform.ts'
import { taskTo } from './samples.ts'

type Told = z.output<typeof explainRoute.output>
const kinds = (statuses: RecipientStatus[]): string[] => statuses.map(({ kind }) => kind).sort()
const texts = ({ messages }: SmtpSink): string[] => messages.map(({ data }) => data.toString())

test('recipients of one message and site travel together, and each is told', { timeout: 120_000 }, async (t) => {
  const { sink, delivery, send, until, statuses } = await platform(t)
  await delivery()
  await send(queueId(1), ['ann@far.test', 'bob@far.test', 'permfail@far.test'])
  await until(() => statuses.length === 3)
  assert.deepEqual(kinds(statuses), ['failed', 'relayed', 'relayed'])
  assert.deepEqual(texts(sink), [`Subject: ${queueId(1)}\r\n\r\nhello\r\n`])
  assert.equal(sink.messages[0]?.recipients.length, 2)
})

test(
  'a greylisted recipient is tried again when its schedule fires, and only that one',
  {
    timeout: 120_000,
  },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t)
    await delivery()
    await send(queueId(1), ['ann@far.test', 'greylist@far.test'])
    await until(() => statuses.filter(({ kind }) => kind === 'relayed').length === 2)
    assert.deepEqual(kinds(statuses), ['deferred', 'relayed', 'relayed'])
    assert.deepEqual(
      sink.messages.flatMap(({ recipients }) => recipients.map(({ forwardPath }) => forwardPath)).sort(),
      ['ann@far.test', 'greylist@far.test'],
    )
    const last = statuses.find((status) => status.kind === 'relayed' && status.attempt === 2)
    assert.ok(last)
  },
)

test('mail finds its way by DNS: past a dead host, and back when there is none', { timeout: 120_000 }, async (t) => {
  const { sink, delivery, send, until, statuses } = await platform(t)
  const dns = await startDnsServer(
    t,
    `$ORIGIN test.
    @     SOA ns root 1 3600 600 86400 30
    far   MX  10 dead
    far   MX  20 live
    dead  A   127.0.0.2
    live  A   127.0.0.1
    null  MX  0 .`.replaceAll(/^ +/gm, ''),
  )
  dns.fault('broken.test', 'servfail')
  await delivery({
    ...{ DELIVERY_ALLOW_PRIVATE: 'true', DELIVERY_PORT: String(sink.port) },
    DNS_SERVERS: dns.address,
  })
  await send(queueId(1), ['ann@far.test', 'bob@null.test', 'eve@gone.test', 'joe@broken.test'])
  // The first of each: what is deferred is tried, and deferred, again.
  const firsts = (): RecipientStatus[] =>
    [...Map.groupBy(statuses, ({ n }) => n).values()].flatMap(([first]) => first ?? [])
  await until(() => firsts().length === 4)
  const said = firsts().map((status) => {
    if (status.kind === 'relayed') return `relayed ${status.mxHost}`
    return 'status' in status ? `${status.kind} ${status.status}` : status.kind
  })
  assert.deepEqual(said.sort(), ['deferred 4.4.3', 'failed 5.1.10', 'failed 5.1.2', 'relayed live.test'])
  assert.equal(sink.messages.length, 1)
})

test('a recipient that never gets through expires', { timeout: 120_000 }, async (t) => {
  const { delivery, send, until, statuses } = await platform(t)
  await delivery()
  await send(queueId(1), ['tempfail@far.test'], { expiresAt: new Date(Date.now() + 700).toISOString() })
  await until(() => statuses.some(({ kind }) => kind === 'expired'))
  assert.ok(statuses.every(({ kind }) => kind === 'deferred' || kind === 'expired'))
})

test(
  'one replica owns a lane; when it stops the other goes on, and nobody is written to twice',
  {
    timeout: 120_000,
  },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t)
    const [one] = [await delivery(), await delivery()]
    const relayed = () => statuses.filter(({ kind }) => kind === 'relayed').length
    for (let number = 1; number <= 20; number++) await send(queueId(number), [`ann@site${number}.test`])
    await until(() => relayed() === 20)
    await one.stop()
    for (let number = 21; number <= 40; number++) await send(queueId(number), [`ann@site${number}.test`])
    await until(() => relayed() === 40)
    assert.ok(new Set(Array.from({ length: 40 }, (_, index) => laneOf(`site${index + 1}.test`))).size > 10)
    assert.equal(new Set(texts(sink)).size, 40)
    assert.equal(sink.messages.length, 40)
  },
)

test('what a site does not take waits for it, and the others go on', { timeout: 120_000 }, async (t) => {
  const { sink, delivery, send, until, statuses } = await platform(t)
  await delivery()
  await sink.close()
  await send(queueId(1), ['ann@far.test'])
  await until(() => statuses.some(({ kind }) => kind === 'deferred'))
  assert.equal(statuses[0]?.kind === 'deferred' && statuses[0].status, '4.4.1')
  await sink.reopen()
  await until(() => statuses.some(({ kind }) => kind === 'relayed'))
  assert.equal(sink.messages.length, 1)
})

test(
  'our mail is signed with every active key, once for all transactions, and what keys do not cover goes as it is',
  {
    timeout: 120_000,
  },
  async (t) => {
    const { sink, delivery, directory, send, until, statuses, keys } = await platform(t)
    const records = new Map<string, string>()
    for (const algorithm of ['rsa', 'ed25519'] as const) {
      const { privateKey, publicKey } = await keyPair(algorithm)
      const place = { domain: 'example.org', selector: algorithm }
      keys.push({ ...place, algorithm, privateKey })
      records.set(keyRecordName(place.selector, place.domain), keyRecord(algorithm, publicKey))
    }
    await directory()
    await delivery({ DELIVERY_DKIM: 'sign' })
    const from = 'From: smith@example.org\r\n'
    // What MAIL says differs, so they cannot share a transaction.
    await send(queueId(1), ['ann@far.test', 'bob@other.test'], (path) => ({ envid: path }), from)
    await send(queueId(2), ['ann@far.test'], { origin: 'inbound' }, from)
    await until(() => statuses.length === 3)
    const ours = sink.messages.filter(({ data }) => data.includes(queueId(1)))
    const [one, two] = ours
    assert.ok(one && two)
    assert.deepEqual(one.data, two.data)
    assert.match(one.mailParameters, new RegExp(`SIZE=${one.data.length}\\b`))
    assert.deepEqual(
      texts(sink).filter((text) => text.includes(queueId(2))),
      [`${from}Subject: ${queueId(2)}\r\n\r\nhello\r\n`],
    )
    const resolver = async (name: string): Promise<string[][]> => [records.get(name)?.match(/.{1,255}/g) ?? []]
    const { results } = await dkimVerify(one.data, { resolver, strict: true })
    assert.deepEqual(
      results.map(({ algo, status }) => [algo, status.result, status.aligned]),
      [
        ['rsa-sha256', 'pass', 'example.org'],
        ['ed25519-sha256', 'pass', 'example.org'],
      ],
    )
  },
)

test('nothing of ours is sent while nobody says what to sign it with', { timeout: 120_000 }, async (t) => {
  const { sink, delivery, directory, send, until, statuses } = await platform(t)
  const { failed } = await directory({ failures: 1 })
  await delivery({ DELIVERY_DKIM: 'sign' })
  await send(queueId(1), ['ann@far.test'], {}, 'From: smith@example.org\r\n')
  await failed
  assert.equal(sink.messages.length, 0)
  await until(() => statuses.length === 1)
  assert.deepEqual(kinds(statuses), ['relayed'])
  assert.equal(sink.messages.length, 1)
})

test(
  'what a reply means can be said in a file; one that cannot be used stops the start',
  { timeout: 120_000 },
  async (t) => {
    const { sink, delivery, send, until, statuses, data } = await platform(t)
    const file = join(data, 'replies.json')
    const row = { name: 'moved', pattern: 'nobody of that name', means: 'soon' }
    await writeFile(file, JSON.stringify([row, { ...row, means: 'perhaps' }]))
    await assert.rejects(delivery({ DELIVERY_REPLY_RULES_FILE: file }), /replies\.json: row 2: means: /)
    await writeFile(file, JSON.stringify([row]))
    await delivery({ DELIVERY_REPLY_RULES_FILE: file })
    await send(queueId(1), ['permfail@far.test'])
    await until(() => statuses.length > 0)
    const [status] = statuses
    assert.deepEqual(status?.kind === 'deferred' && [status.status, status.reply], [
      '4.1.1',
      '550 5.1.1 nobody of that name',
    ])
    assert.equal(sink.messages.length, 0)
  },
)

/** Asks until the answer is the one that is waited for: rules are read in the background. */
async function route(operator: Bus, recipient: string, wanted: (told: Told) => boolean, sender = ''): Promise<Told> {
  for (;;) {
    try {
      const told = await operator.request(explainRoute, { recipient, sender })
      if (wanted(told)) return told
    } catch (error) {
      if (!(error instanceof BusUnavailable)) throw error
    }
  }
}

test('a rule decides where mail goes as soon as the directory has it', { timeout: 120_000 }, async (t) => {
  const { bus, add, delivery, send, until, statuses } = await platform(t)
  const store = await startSmtpSink(t, { lmtp: true })
  await delivery()
  const rule = (name: string, domain: string, action: Transport['action']): Transport => ({
    ...{ name, match: { domain }, action, policy: {} },
  })
  add(rule('store', 'store.test', { kind: 'lmtp', host: '127.0.0.1', port: store.port }))
  add(rule('sink', 'nowhere.test', { kind: 'discard' }))
  add(rule('careful', 'careful.test', { kind: 'hold', reason: 'look at it' }))
  add(rule('gone', '.gone.test', { kind: 'fail', status: '5.1.6', reason: 'moved away' }))
  await route(await bus('operator'), 'x@a.gone.test', ({ rule }) => rule === 'gone')

  await send(queueId(1), [
    'ann@store.test',
    'permdata@store.test',
    'bob@nowhere.test',
    'cid@careful.test',
    'd@a.gone.test',
  ])
  await until(() => statuses.length === 5)
  const told = Map.groupBy(statuses, ({ kind }) => kind)
  assert.deepEqual(kinds(statuses), ['discarded', 'failed', 'failed', 'held', 'relayed'])
  assert.equal(store.messages.length, 1)
  const [discarded] = told.get('discarded') ?? []
  assert.equal(discarded?.kind === 'discarded' && discarded.rule, 'transport sink')
  const failed = told.get('failed')?.map((status) => status.kind === 'failed' && [status.status, status.rule])
  assert.deepEqual(failed?.sort(), [
    ['5.1.6', 'transport gone'],
    ['5.2.1', undefined],
  ])
  const task = taskTo('cid@careful.test', { queueId: QueueId.parse(queueId(1)), site: 'careful.test' })
  const held = MailHold.subject({ task, heldAt: '', rule: '' })
  assert.equal(await (await bus('custody')).holds(MailHold, held), true)
})

test('an operator is told the route of an address without a message being sent', { timeout: 120_000 }, async (t) => {
  const { bus, add, delivery, sink } = await platform(t)
  await delivery()
  const operator = await bus('operator')
  const bulk: Transport = {
    ...{ name: 'bulk', match: { domain: '*', sender: '@bulk.test' }, policy: { concurrency: 3 } },
    action: { kind: 'smarthost', host: '127.0.0.1', port: 587, username: 'us', password: 'secret' },
  }
  assert.deepEqual(await route(operator, 'ann@far.test', () => true), {
    ...{ way: 'hosts', tls: 'opportunistic', key: `smtp:127.0.0.1:${sink.port}`, policy: {} },
    hosts: [{ name: '127.0.0.1', address: '127.0.0.1', port: sink.port }],
  })
  add(bulk)
  const told = await route(operator, 'ann@far.test', ({ rule }) => rule !== undefined, 'x@bulk.test')
  assert.deepEqual(told, {
    ...{ rule: 'bulk', username: 'us', way: 'hosts', tls: 'required', key: 'smtp:127.0.0.1:587 (bulk)' },
    ...{ policy: { concurrency: 3 }, hosts: [{ name: '127.0.0.1', address: '127.0.0.1', port: 587 }] },
  })
  assert.equal(sink.sessions, 0)
})

test('nothing is sent before it is known where mail goes', { timeout: 120_000 }, async (t) => {
  const { sink, bus, delivery, send, until, statuses } = await platform(t, {}, { rulesAreKnown: false })
  await delivery()
  await send(queueId(1), ['ann@far.test'])
  const directory = await bus('directory')
  const asked = Promise.withResolvers<void>()
  let answering = false
  await directory.answer(transports, async () => {
    asked.resolve()
    if (!answering) throw new Error('not yet')
    return { transports: [], more: false, revision: 1 }
  })
  await asked.promise
  assert.equal(sink.sessions, 0)
  answering = true
  await until(() => statuses.some(({ kind }) => kind === 'relayed'))
})
