import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeTransfer, findPart, mediaTypeOf, parseHeader, parseStructureOf } from '@postbus/message'
import fc from 'fast-check'

import { composeReport, type Report } from './compose-report.ts'
import type { RecipientReport, ReportFacts } from './facts.ts'
import { findDeliveryStatus, parseDeliveryStatus } from './parse-report.ts'

const ORIGINAL = Buffer.from('Received: from client\r\nSubject: hello\r\n\r\nthe body\r\n')

const failed: RecipientReport = {
  action: 'failed',
  finalRecipient: 'green@example.net',
  orcpt: 'rfc822;Green@example.org',
  status: '5.1.1',
  reason: 'The address does not exist.',
  reply: '550 5.1.1 No such user',
  mxHost: 'mx.example.net',
  lastAttemptAt: new Date('2026-02-07T21:53:00Z'),
}

function facts(change: Partial<ReportFacts> = {}): ReportFacts {
  return {
    queueId: '01JH000000000000000000REPT',
    messageId: '<report@mail.example.org>',
    date: new Date('2026-02-07T21:54:00Z'),
    reportingMta: 'mail.example.org',
    from: 'Mail Delivery System <MAILER-DAEMON@mail.example.org>',
    to: 'jones@example.org',
    recipients: [failed],
    ...change,
    original: {
      queueId: '01JH0000000000000000000ABC',
      arrivedAt: new Date('2026-02-07T21:52:25Z'),
      size: ORIGINAL.length,
      envid: 'QQ314159',
      smtputf8: false,
      messageId: '<original@example.org>',
      ...change.original,
    },
  }
}

async function written(report: Report): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(report.octets))
}

const compose = (change?: Partial<ReportFacts>, original: Iterable<Uint8Array> = [ORIGINAL]): Promise<Buffer> =>
  written(composeReport(facts(change), original))

function partOf(message: Buffer, path: string): { type: string; octets: Buffer } {
  const part = findPart(parseStructureOf(message), path)
  assert.ok(part)
  const { type, subtype } = mediaTypeOf(part)
  const body = message.subarray(part.body.start, part.body.end)
  return { type: `${type}/${subtype}`, octets: decodeTransfer(body, part.encoding) }
}

test('a report about a failure, octet by octet', async () => {
  assert.equal(
    (await compose()).toString(),
    [
      'From: Mail Delivery System <MAILER-DAEMON@mail.example.org>',
      'To: <jones@example.org>',
      'Subject: Your message could not be delivered',
      'Date: Sat, 07 Feb 2026 21:54:00 +0000',
      'Message-ID: <report@mail.example.org>',
      'Auto-Submitted: auto-replied',
      'In-Reply-To: <original@example.org>',
      'References: <original@example.org>',
      'MIME-Version: 1.0',
      'Content-Type: multipart/report; report-type=delivery-status;',
      ' boundary="=_report_01JH000000000000000000REPT"',
      'Content-Transfer-Encoding: 8bit',
      '',
      'This is a delivery report in MIME format.',
      '',
      '--=_report_01JH000000000000000000REPT',
      'Content-Type: text/plain; charset=us-ascii',
      'Content-Description: Notification',
      'Content-Transfer-Encoding: 7bit',
      '',
      'This is the mail system at mail.example.org.',
      '',
      'Your message could not be delivered to one recipient. It will not be tried',
      'again.',
      '',
      '<green@example.net>',
      '    The address does not exist.',
      '    mx.example.net said: 550 5.1.1 No such user',
      '    Check the address for mistakes. If it is right, ask the recipient in',
      '    another way.',
      '',
      'Details for mail administrators are attached, and your message.',
      '',
      '--=_report_01JH000000000000000000REPT',
      'Content-Type: message/delivery-status',
      'Content-Description: Delivery report',
      'Content-Transfer-Encoding: 7bit',
      '',
      'Original-Envelope-Id: QQ314159',
      'Reporting-MTA: dns; mail.example.org',
      'Arrival-Date: Sat, 07 Feb 2026 21:52:25 +0000',
      '',
      'Original-Recipient: rfc822;Green@example.org',
      'Final-Recipient: rfc822; green@example.net',
      'Action: failed',
      'Status: 5.1.1',
      'Remote-MTA: dns; mx.example.net',
      'Diagnostic-Code: smtp; 550 5.1.1 No such user',
      'Last-Attempt-Date: Sat, 07 Feb 2026 21:53:00 +0000',
      'Final-Log-ID: 01JH0000000000000000000ABC',
      '',
      '--=_report_01JH000000000000000000REPT',
      'Content-Type: message/rfc822',
      'Content-Description: Original message',
      'Content-Transfer-Encoding: 8bit',
      '',
      'Received: from client',
      'Subject: hello',
      '',
      'the body',
      '',
      '--=_report_01JH000000000000000000REPT--',
      '',
    ].join('\r\n'),
  )
})

test('the original comes back octet by octet, whatever is in it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), fc.boolean(), async (octets, smtputf8) => {
      const original = Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), octets])
      const report = await compose({ original: { ...facts().original, size: original.length, smtputf8 } }, [
        original.subarray(0, 100),
        original.subarray(100),
      ])
      assert.deepEqual(partOf(report, '3').octets, original)
    }),
  )
})

test('RET=HDRS, a large message, and anything but a failure return the header only', async () => {
  const { original } = facts()
  const delivered: RecipientReport = { ...failed, action: 'delivered', status: '2.0.0' }
  for (const change of [
    { original: { ...original, ret: 'HDRS' as const } },
    { original: { ...original, ret: 'FULL' as const, size: 2 * 1024 * 1024 } },
    { original: { ...original, ret: 'FULL' as const }, recipients: [delivered] },
  ]) {
    const part = partOf(await compose(change), '3')
    assert.equal(part.type, 'text/rfc822-headers')
    assert.equal(part.octets.toString(), 'Received: from client\r\nSubject: hello\r\n')
  }
  const full = partOf(await compose({ original: { ...original, ret: 'FULL' } }), '3')
  assert.equal(full.type, 'message/rfc822')
})

test('of a message that is not returned only the header is read', async () => {
  let read = 0
  async function* original(): AsyncGenerator<Buffer> {
    for (const chunk of ['Subject: x\r', '\n\r', '\nbody', ...Array<string>(1000).fill('more')]) {
      read++
      yield Buffer.from(chunk)
    }
  }
  const change = facts({ original: { ...facts().original, ret: 'HDRS' } })
  const report = await written(composeReport(change, original()))
  assert.equal(partOf(report, '3').octets.toString(), 'Subject: x\r\n')
  assert.equal(read, 3)
})

test('a header beyond its limit is cut after a whole line', async () => {
  const change = { original: { ...facts().original, ret: 'HDRS' as const }, limits: { returnedHeaderBytes: 20 } }
  const report = await compose(change, [
    Buffer.from('A: 1\r\nB: 2\r\nC: '),
    Buffer.from(`${'3'.repeat(50)}\r\n\r\nbody`),
  ])
  assert.equal(partOf(report, '3').octets.toString(), 'A: 1\r\nB: 2\r\n')
})

test('undeclared eight-bit octets in a header do not make the report need 8BITMIME', async () => {
  const report = composeReport(facts({ original: { ...facts().original, ret: 'HDRS' } }), [
    Buffer.from('Subject: gr\xfc\xdfe\r\n\r\n', 'latin1'),
  ])
  assert.equal(report.body, '7BIT')
  const octets = await written(report)
  assert.ok(octets.every((octet) => octet < 0x80))
  assert.equal(partOf(octets, '3').octets.toString('latin1'), 'Subject: gr\xfc\xdfe\r\n')
})

test('an original of eight bits makes a report of eight bits, declared as the original was', async () => {
  for (const body of ['8BITMIME', undefined] as const) {
    const report = composeReport(facts({ original: { ...facts().original, body } }), [
      Buffer.from('A: b\r\n\r\n\xfc', 'latin1'),
    ])
    assert.deepEqual([report.body, report.smtputf8], [body, false])
    const octets = await written(report)
    assert.equal(partOf(octets, '3').octets.toString('latin1'), 'A: b\r\n\r\n\xfc')
    assert.equal(octets.toString('latin1').match(/^Content-Transfer-Encoding: 8bit\r$/gm)?.length, 2)
  }
  const declared = composeReport(facts({ original: { ...facts().original, body: '7BIT' } }), [])
  assert.equal(declared.body, '7BIT')
  assert.doesNotMatch((await written(declared)).toString(), /8bit/)
})

test('no line is longer than 998 octets, whatever others have said', async () => {
  const long = 'x'.repeat(1990)
  const original = { ...facts().original, messageId: `<${long.slice(0, 990)}@a>` }
  const octets = await written(
    composeReport(facts({ original, recipients: [{ ...failed, reply: `550 ${long}`, reason: long }] }), []),
  )
  assert.ok(
    octets
      .toString()
      .split('\r\n')
      .every((line) => line.length <= 998),
  )
  assert.equal(parseDeliveryStatus(partOf(octets, '2').octets)?.recipients[0]?.diagnosticCode?.value.length, 2003)
})

const international: Partial<ReportFacts> = {
  original: { ...facts().original, smtputf8: true, body: '8BITMIME' },
  recipients: [
    {
      ...failed,
      finalRecipient: 'grün@exämple.net',
      orcpt: 'utf-8;Grün@exämple.org',
      reply: '550 5.1.1 unbekannt: Grün',
    },
  ],
}

test('to a sender in ASCII an international report is ASCII too — RFC 6533 §4', async () => {
  const report = composeReport(facts(international), [ORIGINAL])
  assert.deepEqual([report.body, report.smtputf8], ['7BIT', false])
  const octets = await written(report)
  assert.ok(octets.every((octet) => octet < 0x80))
  assert.equal(partOf(octets, '2').type, 'message/delivery-status')
  assert.match(octets.toString(), /\r\nFinal-Recipient: utf-8; gr\\x\{FC\}n@ex\\x\{E4\}mple\.net\r\n/)
  assert.deepEqual(partOf(octets, '3'), { type: 'message/global', octets: ORIGINAL })
  assert.match(partOf(octets, '1').octets.toString(), /<grün@exämple.net>/)
  const status = parseDeliveryStatus(partOf(octets, '2').octets)
  assert.deepEqual(status?.recipients[0]?.finalRecipient, { type: 'utf-8', value: 'grün@exämple.net' })
  assert.deepEqual(status?.recipients[0]?.originalRecipient, { type: 'utf-8', value: 'Grün@exämple.org' })
})

test('to a sender whose domain alone is beyond ASCII the report is ASCII, with A-labels', async () => {
  const report = composeReport(facts({ to: 'jones@bücher.example' }), [ORIGINAL])
  assert.equal(report.smtputf8, false)
  assert.match((await written(report)).toString(), /^To: <jones@xn--bcher-kva\.example>\r$/m)
})

test('to a sender beyond ASCII the report needs SMTPUTF8 and says everything as it is', async () => {
  const report = composeReport(facts({ ...international, to: 'jörg@example.org' }), [ORIGINAL])
  assert.deepEqual([report.body, report.smtputf8], ['8BITMIME', true])
  const octets = await written(report)
  assert.equal(partOf(octets, '2').type, 'message/global-delivery-status')
  assert.match(octets.toString(), /\r\nTo: <jörg@example.org>\r\n/)
  assert.match(octets.toString(), /\r\nDiagnostic-Code: smtp; 550 5.1.1 unbekannt: Grün\r\n/)
})

test('the same facts give the same octets', async () => {
  assert.deepEqual(await compose(), await compose())
})

test('every action has its text, the failure first; only a delay says until when', async () => {
  const at = new Date('2026-02-12T00:00:00Z')
  const recipients = (['delivered', 'relayed', 'expanded', 'delayed', 'failed'] as const).map(
    (action): RecipientReport => ({ ...failed, action, finalRecipient: `${action}@example.net`, willRetryUntil: at }),
  )
  const report = await compose({ recipients })
  assert.match(report.toString(), /\r\nSubject: Your message could not be delivered\r\n/)
  const human = partOf(report, '1').octets.toString()
  const order = ['failed', 'delayed', 'expanded', 'relayed', 'delivered'].map((action) => human.indexOf(`<${action}@`))
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  )
  const status = parseDeliveryStatus(partOf(report, '2').octets)
  assert.deepEqual(
    status?.recipients.map(({ action, willRetryUntil }) => [action, willRetryUntil]),
    [
      ['delivered', undefined],
      ['relayed', undefined],
      ['expanded', undefined],
      ['delayed', at],
      ['failed', undefined],
    ],
  )
})

test('people read of some recipients, machines of all', async () => {
  const recipients = Array.from({ length: 120 }, (_, n): RecipientReport => ({
    ...failed,
    finalRecipient: `r${n}@example.net`,
  }))
  const report = await compose({ recipients })
  const human = partOf(report, '1').octets.toString()
  assert.match(human, /to 120 recipients/)
  assert.match(human, /70 more are named in the attached details\./)
  assert.equal(human.match(/^<r/gm)?.length, 50)
  assert.equal(parseDeliveryStatus(partOf(report, '2').octets)?.recipients.length, 120)
})

test('nothing that came from outside can add a field, a recipient or a part', async () => {
  const evil = 'x\r\n\r\nAction: delivered\r\n\r\n--=_report_01JH000000000000000000REPT\r\n\0\u2028y'
  const report = await compose({
    to: evil,
    recipients: [
      {
        ...failed,
        finalRecipient: evil,
        orcpt: `rfc822;${evil}`,
        status: evil,
        reason: evil,
        reply: evil,
        mxHost: evil,
      },
    ],
    original: { ...facts().original, envid: evil, messageId: evil, queueId: evil },
  })
  const root = parseStructureOf(report)
  assert.equal(root.parts?.length, 3)
  const names = parseHeader(report).map(({ name }) => name)
  assert.deepEqual(names, [
    'From',
    'To',
    'Subject',
    'Date',
    'Message-ID',
    'Auto-Submitted',
    'MIME-Version',
    'Content-Type',
    'Content-Transfer-Encoding',
  ])
  const status = parseDeliveryStatus(partOf(report, '2').octets)
  assert.equal(status?.recipients.length, 1)
  assert.equal(status?.recipients[0]?.action, 'failed')
})

test('what was written is read again', async () => {
  const report = await compose()
  const part = findDeliveryStatus(parseStructureOf(report))
  assert.ok(part)
  assert.deepEqual(parseDeliveryStatus(report.subarray(part.body.start, part.body.end)), {
    envid: 'QQ314159',
    reportingMta: { type: 'dns', value: 'mail.example.org' },
    arrivedAt: new Date('2026-02-07T21:52:25Z'),
    recipients: [
      {
        originalRecipient: { type: 'rfc822', value: 'Green@example.org' },
        finalRecipient: { type: 'rfc822', value: 'green@example.net' },
        action: 'failed',
        status: '5.1.1',
        remoteMta: { type: 'dns', value: 'mx.example.net' },
        diagnosticCode: { type: 'smtp', value: '550 5.1.1 No such user' },
        lastAttemptAt: new Date('2026-02-07T21:53:00Z'),
        finalLogId: '01JH0000000000000000000ABC',
      },
    ],
  })
})
