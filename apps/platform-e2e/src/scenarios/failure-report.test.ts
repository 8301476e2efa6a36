/**
 * A message that cannot be delivered comes back to its sender, once, as a report that software of others can read; NOTIFY and
 * RET are honoured; and killing custody while it reports neither loses a report nor makes one twice.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { startSmtpSink } from '@postbus/testkit'
import { createTransport, type SendMailOptions } from 'nodemailer'

import { messages } from '../mailboxes.ts'
import { startPlatform, until, type Platform, type Ready } from '../platform.ts'
import { addAccounts, postbus, type Account } from '../postbus.ts'
import { piped, queueIdOf } from '../sending.ts'

/** RFC 3464 as Python's email package reads it. */
const READ_REPORT = `
import email, email.policy, json, sys
message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
text, status, original = message.iter_parts()
groups = [dict(group.items()) for group in status.get_payload()]
print(json.dumps({
    'from': message['From'], 'to': message['To'], 'returnPath': message['Return-Path'], 'auto': message['Auto-Submitted'],
    'type': message.get_content_type(), 'reportType': message.get_param('report-type'),
    'types': [part.get_content_type() for part in message.iter_parts()],
    'text': text.get_content(), 'message': groups[0], 'recipients': groups[1:], 'original': original.as_string(),
}))
`

interface Report {
  from: string
  to: string
  returnPath: string
  auto: string
  type: string
  reportType: string
  types: string[]
  text: string
  message: Record<string, string>
  recipients: Record<string, string>[]
  original: string
}

interface Where {
  recipients: { forwardPath: string; state: string; report?: string; unreported?: string }[]
  freedAt?: string
}

async function send(ready: Ready, from: Account, to: string[], dsn?: SendMailOptions['dsn']): Promise<string> {
  const transport = createTransport({
    host: 'localhost',
    port: ready.ports['submission'],
    requireTLS: true,
    tls: { ca: await readFile(ready.ca, 'utf8') },
    auth: { user: from.address, pass: from.password },
  })
  try {
    const text = 'The body of the message.\r\n'
    const { response } = await transport.sendMail({
      from: from.address,
      to,
      subject: 'hello',
      text,
      ...(dsn && { dsn }),
    })
    return queueIdOf(response)
  } finally {
    transport.close()
  }
}

const reportOf = async (bytes: Buffer): Promise<Report> =>
  JSON.parse(await piped('python3', ['-c', READ_REPORT], bytes)) as Report // The script above makes it.

/** What became of it, once its record was given back: everything that had to be told was told. */
async function settled(platform: Platform, queueId: string): Promise<Where> {
  let known: Where = { recipients: [] }
  await until(
    async () => {
      known = await postbus<Where>(platform.ready(), 'where', queueId)
      return known.freedAt !== undefined
    },
    60_000,
    () => `${JSON.stringify(known)}\n${platform.output()}`,
  )
  return known
}

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
    const queueId = await send(ready, senders.one, ['permfail@far.test'], { id: 'QQ314159', notify: ['failure'] })
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
    const to = [jones.address, 'permfail-1@far.test', 'permdata@away.test', 'fine@far.test']
    const queueId = await send(ready, senders.mixed, to)
    await settled(platform, queueId)
    const found = await messages(ready, senders.mixed, 1)
    assert.equal(found.length, 1)
    const { recipients } = await reportOf(found[0] ?? assert.fail())
    assert.deepEqual(recipients.map((recipient) => recipient['Final-Recipient']).toSorted(), [
      'rfc822; permdata@away.test',
      'rfc822; permfail-1@far.test',
    ])
  })

  await t.test('RET=HDRS: the header and no more', async () => {
    await send(ready, senders.headers, ['permfail@far.test'], { return: 'headers', notify: ['failure'] })
    const report = await reportOf((await messages(ready, senders.headers, 1))[0] ?? assert.fail())
    assert.equal(report.types[2], 'text/rfc822-headers')
    assert.match(report.original, /Subject: hello/)
    assert.doesNotMatch(report.original, /The body of the message/)
  })

  await t.test('NOTIFY=NEVER: nothing comes back, and the books say why', async () => {
    const queueId = await send(ready, senders.never, ['permfail@far.test'], { notify: ['never'] })
    assert.deepEqual(
      (await settled(platform, queueId)).recipients.map(({ state, report, unreported }) => [state, report, unreported]),
      [['failed', undefined, 'NOTIFY=NEVER']],
    )
    assert.deepEqual(await messages(ready, senders.never, 0), [])
  })

  await t.test('an alias that leads nowhere: the router’s failure is told as well', async () => {
    await postbus(ready, 'alias', 'add', 'nowhere@example.org', '--member', 'nobody@example.org')
    await send(ready, senders.local, ['nowhere@example.org'])
    const { recipients, text } = await reportOf((await messages(ready, senders.local, 1))[0] ?? assert.fail())
    assert.match(text, /<nobody@example\.org>[\s\S]*<nowhere@example\.org>/)
    assert.deepEqual([recipients.length, recipients[0]?.['Status']], [1, '5.1.1'])
  })

  await t.test('kill -9 of custody while it reports: one report for each message', async () => {
    const count = 10
    const sending = Array.fromAsync({ length: count }, (_, index) =>
      send(ready, senders.many, [`permfail-${index}@far.test`]),
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
