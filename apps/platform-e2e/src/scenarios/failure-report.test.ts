/**
 * A message that cannot be delivered comes back to its sender, once, as a report that software of others can read; NOTIFY and
 * RET are honoured; and killing custody while it reports neither loses a report nor makes one twice.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startSmtpSink } from '@postbus/testkit'

import { messages } from '../mailboxes.ts'
import { startPlatform } from '../platform.ts'
import { addAccounts, postbus } from '../postbus.ts'
import { reportOf, settled } from '../reports.ts'
import { submit } from '../sending.ts'

test('what cannot be delivered comes back', async (t) => {
  const sink = await startSmtpSink(t)
  const set = {
    DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}`,
    DELIVERY_ALLOW_PRIVATE: 'true',
    CUSTODY_LEASE_MS: '2000',
  }
  const args = ['--processes', ...Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${value}`])]
  const platform = await startPlatform(t, { args })
  const ready = platform.ready()
  const senders = await addAccounts(ready, ['one', 'mixed', 'headers', 'never', 'local', 'many'])
  const [jones] = ready.accounts.filter(({ address }) => address === 'jones@example.org')
  assert.ok(jones)

  await t.test('an unknown remote user: three parts that Python reads', async () => {
    const queueId = await submit(ready, senders.one, ['permfail@far.test'], {
      dsn: { id: 'QQ314159', notify: ['failure'] },
    })
    const report = await reportOf((await messages(ready, senders.one, 1))[0] ?? assert.fail())
    assert.deepEqual(
      [report.type, report.reportType, report.types],
      ['multipart/report', 'delivery-status', ['text/plain', 'message/delivery-status', 'message/rfc822']],
    )
    assert.deepEqual([report.to, report.returnPath, report.auto], [senders.one.address, '<>', 'auto-replied'])
    assert.match(report.from, /<MAILER-DAEMON@example\.org>/)
    assert.match(report.text, /<permfail@far\.test>/)
    assert.equal(report.message['Original-Envelope-Id'], 'QQ314159')
    const [recipient, ...others] = report.recipients
    assert.deepEqual(others, [])
    assert.equal(recipient?.['Final-Recipient'], 'rfc822; permfail@far.test')
    assert.equal(recipient?.['Action'], 'failed')
    assert.equal(recipient?.['Status'], '5.1.1')
    assert.match(recipient?.['Diagnostic-Code'] ?? '', /^smtp; 550 5\.1\.1/)
    assert.match(report.original, /Subject: hello[\s\S]*The body of the message/)
    const [known] = (await settled(platform, queueId)).recipients
    assert.equal(known?.state, 'failed')
    assert.equal((await settled(platform, known.report ?? assert.fail())).recipients[0]?.state, 'delivered')
  })

  await t.test('one good recipient and two bad ones: one report about the bad ones', async () => {
    const to = [jones.address, 'permfail-1@far.test', 'permfail-2@away.test', 'fine@far.test']
    const queueId = await submit(ready, senders.mixed, to)
    await settled(platform, queueId)
    const found = await messages(ready, senders.mixed, 1)
    assert.equal(found.length, 1)
    const { recipients } = await reportOf(found[0] ?? assert.fail())
    assert.deepEqual(recipients.map((recipient) => recipient['Final-Recipient']).toSorted(), [
      'rfc822; permfail-1@far.test',
      'rfc822; permfail-2@away.test',
    ])
  })

  await t.test('RET=HDRS: the header and no more', async () => {
    await submit(ready, senders.headers, ['permfail@far.test'], { dsn: { return: 'headers', notify: ['failure'] } })
    const report = await reportOf((await messages(ready, senders.headers, 1))[0] ?? assert.fail())
    assert.equal(report.types[2], 'text/rfc822-headers')
    assert.match(report.original, /Subject: hello/)
    assert.doesNotMatch(report.original, /The body of the message/)
  })

  await t.test('NOTIFY=NEVER: nothing comes back, and the books say why', async () => {
    const queueId = await submit(ready, senders.never, ['permfail@far.test'], { dsn: { notify: ['never'] } })
    assert.deepEqual(
      (await settled(platform, queueId)).recipients.map(({ state, report, unreported }) => [state, report, unreported]),
      [['failed', undefined, 'NOTIFY=NEVER']],
    )
    assert.deepEqual(await messages(ready, senders.never, 0), [])
  })

  await t.test('an alias that leads nowhere: the router’s failure is told as well', async () => {
    await postbus(ready, 'alias', 'add', 'nowhere@example.org', '--member', 'nobody@example.org')
    await submit(ready, senders.local, ['nowhere@example.org'])
    const { recipients, text } = await reportOf((await messages(ready, senders.local, 1))[0] ?? assert.fail())
    assert.match(text, /<nobody@example\.org>[\s\S]*<nowhere@example\.org>/)
    assert.deepEqual([recipients.length, recipients[0]?.['Status']], [1, '5.1.1'])
  })

  await t.test('kill -9 of custody while it reports: one report for each message', async () => {
    const count = 10
    const sending = Array.fromAsync({ length: count }, (_, index) =>
      submit(ready, senders.many, [`permfail-${index}@far.test`]),
    )
    for (let kills = 0; kills < 3; kills++) {
      await platform.kill('custody')
      await platform.untilReady()
    }
    for (const queueId of await sending) {
      for (const { report } of (await settled(platform, queueId)).recipients) {
        // Once the report is through as well, nothing is left that could make another.
        await settled(platform, report ?? assert.fail())
      }
    }
    const reports = await Promise.all((await messages(ready, senders.many, count)).map(reportOf))
    const failed = reports.flatMap(({ recipients }) => recipients.map((recipient) => recipient['Final-Recipient']))
    assert.equal(failed.length, count)
    assert.equal(new Set(failed).size, count)
  })
})
