/**
 * Who asks for NOTIFY=SUCCESS hears of every recipient he wrote to, once: an alias as expanded, a list as delivered. And a
 * report that the next hop's network sends later reaches the sender's mailbox, and is noted at the message it is about.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { startSmtpSink } from '@postbus/testkit'
import { createTransport } from 'nodemailer'

import { inTheBooks } from '../books.ts'
import { messages } from '../mailboxes.ts'
import { startPlatform, until } from '../platform.ts'
import { type Account, addAccounts, postbus } from '../postbus.ts'
import { queueIdOf } from '../sending.ts'

interface Where {
  messageId: string
  originals: { report?: string }[]
  recipients: { state: string; report?: string; laterReports?: { action: string; status: string; reason: string }[] }[]
}

test('success is told, and what comes back later is noted', async (t) => {
  const sink = await startSmtpSink(t)
  const set = { DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}`, DELIVERY_ALLOW_PRIVATE: 'true' }
  const args = Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const platform = await startPlatform(t, { args })
  const ready = platform.ready()
  const { asks, bounced, ann } = await addAccounts(ready, ['asks', 'bounced', 'ann'])
  await postbus(ready, 'alias', 'add', 'info@example.org', '--member', ann.address, '--member', 'fine@far.test')
  const members = ['--member', 'member@far.test', '--owner', ann.address]
  await postbus(ready, 'list', 'add', 'team@example.org', ...members)

  const submit = async (from: Account, to: string[], notify?: 'success'): Promise<string> => {
    const transport = createTransport({
      ...{ host: 'localhost', port: ready.ports['submission'], requireTLS: true },
      ...{ tls: { ca: await readFile(ready.ca, 'utf8') }, auth: { user: from.address, pass: from.password } },
    })
    const message = { from: from.address, to, subject: 'hello', text: 'Hello.\r\n', ...(notify && { dsn: { notify } }) }
    const { response } = await transport.sendMail(message).finally(() => transport.close())
    return queueIdOf(response)
  }
  const where = (queueId: string) => postbus<Where>(ready, 'where', queueId)

  await t.test('an alias, a list and a mailbox: each told once, as what it is', async () => {
    const queueId = await submit(asks, ['info@example.org', 'team@example.org', ann.address], 'success')
    const told = async () =>
      (await messages(ready, asks, 1)).flatMap((report) =>
        [...report.toString('latin1').matchAll(/^Final-Recipient: rfc822; (\S+)\r\nAction: (\S+)\r$/gm)].map(
          ([, recipient, action]) => `${recipient} ${action}`,
        ),
      )
    await until(
      async () => (await told()).length >= 3,
      120_000,
      () => platform.output(),
    )
    assert.deepEqual((await told()).toSorted(), [
      'ann@example.org delivered',
      'info@example.org expanded',
      'team@example.org delivered',
    ])
    assert.deepEqual(
      (await where(queueId)).originals.map(({ report }) => report !== undefined),
      [true, true, false],
    )
  })

  await t.test('a report that comes in later is in the mailbox, and beside the recipient it is about', async () => {
    const queueId = await submit(bounced, ['fine@far.test'])
    await until(
      async () => (await inTheBooks(ready, queueId))?.recipients[0]?.state === 'relayed',
      120_000,
      () => platform.output(),
    )
    const { messageId } = await where(queueId)
    const raw = [
      ...[`To: ${bounced.address}`, 'From: MAILER-DAEMON@in.far.test', 'Subject: Undelivered', 'MIME-Version: 1.0'],
      ...['Content-Type: multipart/report; report-type=delivery-status; boundary=b', '', '--b', '', 'It is full.', ''],
      ...['--b', 'Content-Type: message/delivery-status', '', 'Reporting-MTA: dns; in.far.test', ''],
      ...[
        'Final-Recipient: rfc822; fine@far.test',
        'Action: failed',
        'Status: 5.2.2',
        'Diagnostic-Code: smtp; 552 full',
      ],
      ...['', '--b', 'Content-Type: text/rfc822-headers', '', `Message-ID: ${messageId}`, '', '--b--', ''],
    ].join('\r\n')
    const transport = createTransport({ host: 'localhost', port: ready.ports['mx'], ignoreTLS: true })
    await transport.sendMail({ envelope: { from: '', to: bounced.address }, raw }).finally(() => transport.close())
    assert.equal((await messages(ready, bounced, 1)).length, 1)
    await until(
      async () => (await inTheBooks(ready, queueId))?.recipients[0]?.laterReports !== undefined,
      120_000,
      () => platform.output(),
    )
    const [recipient] = (await where(queueId)).recipients
    assert.equal(recipient?.state, 'relayed')
    assert.deepEqual(
      recipient.laterReports?.map(({ action, status, reason }) => [action, status, reason]),
      [['failed', '5.2.2', '552 full']],
    )
    const found = await postbus<{ messages: { queueId: string }[] }>(ready, 'where', messageId)
    assert.deepEqual(
      found.messages.map((message) => message.queueId),
      [queueId],
    )
  })
})
