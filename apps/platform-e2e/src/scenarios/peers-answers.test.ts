/** What peers answer, recipient by recipient, and what the sender hears of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messages } from '../mailboxes.ts'
import { startOutbound, takenBy } from '../outbound.ts'
import { until } from '../platform.ts'
import { addAccounts } from '../postbus.ts'
import { type Report, reportOf, settled } from '../reports.ts'
import { byNodemailer, submit } from '../sending.ts'

const ZONE = `
  far.test.    MX 10 mx.far.test.
  mx.far.test. A  127.0.0.2
  old.test.    MX 10 mx.old.test.
  mx.old.test. A  127.0.0.3
`

test('each recipient gets what the peer said of it', async (t) => {
  const { platform, sinks } = await startOutbound(t, {
    zone: ZONE,
    sinks: { far: { host: '127.0.0.2' }, old: { host: '127.0.0.3', extensions: ['SIZE 1000000'] } },
  })
  const ready = platform.ready()
  const names = ['later', 'mixed', 'success', 'bits', 'letters', 'window'] as const
  const senders = await addAccounts(ready, names)
  const [jones] = ready.accounts.filter(({ address }) => address === 'jones@example.org')
  assert.ok(jones)

  const states = async (queueId: string) =>
    Object.fromEntries(
      (await settled(platform, queueId)).recipients.map(({ forwardPath, state }) => [forwardPath, state]),
    )
  const reports = async (sender: (typeof names)[number], count: number): Promise<Report[]> => {
    const found = await messages(ready, senders[sender], count)
    assert.equal(found.length, count)
    return Promise.all(found.map(reportOf))
  }
  const brief = (report: Report | undefined): string[][] =>
    report?.recipients.map((recipient) =>
      ['Final-Recipient', 'Action', 'Status'].map((name) => recipient[name] ?? ''),
    ) ?? []
  const times = (path: string): number => takenBy(sinks.far).filter((taken) => taken === path).length

  await t.test(
    'greylisted with 450, or wrongly with 550, then 250: delivered, and the sender hears nothing',
    async () => {
      const to = ['greylist-1@far.test', 'greyperm-1@far.test']
      const queueId = await submit(ready, senders.later, to)
      assert.deepEqual(await states(queueId), { 'greylist-1@far.test': 'relayed', 'greyperm-1@far.test': 'relayed' })
      assert.deepEqual(to.map(times), [1, 1])
      assert.deepEqual(await messages(ready, senders.later, 0), [])
    },
  )

  await t.test('one accepted, one 550, one 450 and later 250: each once, and one report', async () => {
    const to = ['yes@far.test', 'permfail-2@far.test', 'greylist-2@far.test']
    const queueId = await submit(ready, senders.mixed, to)
    assert.deepEqual(await states(queueId), {
      ...{ 'yes@far.test': 'relayed', 'permfail-2@far.test': 'failed', 'greylist-2@far.test': 'relayed' },
    })
    assert.deepEqual(to.map(times), [1, 0, 1])
    const [report] = await reports('mixed', 1)
    assert.deepEqual(brief(report), [['rfc822; permfail-2@far.test', 'failed', '5.1.1']])
    assert.match(report?.recipients[0]?.['Diagnostic-Code'] ?? '', /^smtp; 550 5\.1\.1 nobody/)
    assert.equal(report?.recipients[0]?.['Remote-MTA'], 'dns; mx.far.test')
  })

  await t.test(
    'success is reported when asked for: by us where the peer does not, and for our own mailboxes',
    async () => {
      const to = ['ann@far.test', 'ann@old.test', jones.address]
      const queueId = await submit(ready, senders.success, to, { dsn: { id: 'E1', notify: ['success', 'failure'] } })
      assert.deepEqual(await states(queueId), {
        ...{ 'ann@far.test': 'relayed', 'ann@old.test': 'relayed', [jones.address]: 'delivered' },
      })
      // One report or two, as the recipients came through together or not.
      let told: string[][] = []
      await until(
        async () => {
          told = (await Promise.all((await messages(ready, senders.success, 1)).map(reportOf))).flatMap(brief)
          return told.length >= 2
        },
        60_000,
        () => JSON.stringify(told),
      )
      assert.deepEqual(told.toSorted(), [
        ['rfc822; ann@old.test', 'relayed', '2.0.0'],
        [`rfc822; ${jones.address}`, 'delivered', '2.0.0'],
      ])
      // RFC 3461 §5.2: who takes the request over answers it.
      const passedOn = sinks.far.messages
        .flatMap(({ recipients }) => recipients)
        .find(({ forwardPath }) => forwardPath === to[0])
      assert.match(passedOn?.parameters ?? '', /NOTIFY=SUCCESS,FAILURE/)
    },
  )

  await t.test('eight bits to a host of seven go converted, to one of eight as they are', async () => {
    const header =
      'From: bits@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n'
    const bytes = Buffer.from(`${header}Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n`)
    const queueId = await byNodemailer(ready, { from: senders.bits, to: ['bits@old.test', 'bits@far.test'], bytes })
    assert.deepEqual(await states(queueId), { 'bits@old.test': 'relayed', 'bits@far.test': 'relayed' })
    const [converted] = sinks.old.messages.filter(({ recipients }) => recipients[0]?.forwardPath === 'bits@old.test')
    assert.doesNotMatch(converted?.mailParameters ?? '', /BODY/)
    assert.match(converted?.data.toString() ?? '', /quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n$/)
    const [taken] = sinks.far.messages.filter(({ recipients }) => recipients[0]?.forwardPath === 'bits@far.test')
    assert.match(taken?.mailParameters ?? '', /BODY=8BITMIME/)
    assert.match(taken?.data.toString() ?? '', /\r\nGrüße\r\n$/)
  })

  await t.test('an internationalized address to a host that knows none: 5.6.7', async () => {
    const bytes = Buffer.from('From: letters@example.org\r\nSubject: plain\r\n\r\nplain\r\n')
    const to = ['jürgen@old.test', 'jürgen@far.test']
    const queueId = await byNodemailer(ready, { from: senders.letters, to, bytes })
    assert.deepEqual(await states(queueId), { 'jürgen@old.test': 'failed', 'jürgen@far.test': 'relayed' })
    const [[, action, status] = []] = brief((await reports('letters', 1))[0])
    assert.deepEqual([action, status], ['failed', '5.6.7'])
  })

  await t.test('no answer to the final dot: sent once more, and no third time (RFC 1047)', async () => {
    const queueId = await submit(ready, senders.window, ['dropfirstdot@far.test'])
    assert.deepEqual(await states(queueId), { 'dropfirstdot@far.test': 'relayed' })
    assert.equal(times('dropfirstdot@far.test'), 2)
    assert.deepEqual(await messages(ready, senders.window, 0), [])
  })
})
