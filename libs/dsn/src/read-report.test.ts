import assert from 'node:assert/strict'
import { test } from 'node:test'
import { octetsOf } from '@postbus/message'
import fc from 'fast-check'

import { type ReceivedReport, readReport } from './read-report.ts'

const ORIGINAL = [
  'Received: from relay.far.test (relay.far.test [192.0.2.9])',
  '\tby mx.far.test (Postfix) with ESMTPS id 4ZxQ7w3q2Rz1',
  '\tfor <ann@far.test>; Mon, 5 Jan 2026 10:01:02 +0000 (UTC)',
  'Received: from [10.0.0.7] by mail.example.org with ESMTPSA id 01J9ZK3V8Q6X4T2M7N5R1C0001;',
  '\tMon, 05 Jan 2026 10:00:00 +0000',
  'Message-ID: <a@example.org>',
  'Subject: hello',
]

interface Parts {
  status: string[]
  statusType?: string
  encoding?: string
  first?: string[]
  returned?: string[]
  returnedType?: string
  lineEnd?: string
  contentType?: string
}

function reportOf({
  status,
  statusType = 'message/delivery-status',
  encoding,
  first = ['Content-Type: text/plain', '', 'It did not work.'],
  returned = ORIGINAL,
  returnedType = 'message/rfc822',
  lineEnd = '\r\n',
  contentType = 'multipart/report; report-type=delivery-status; boundary="b/1"',
}: Parts): Buffer {
  const head = [
    `Content-Type: ${statusType}`,
    ...(encoding === undefined ? [] : [`Content-Transfer-Encoding: ${encoding}`]),
  ]
  return octetsOf(
    [
      'From: MAILER-DAEMON@mx.far.test',
      'MIME-Version: 1.0',
      `Content-Type: ${contentType}`,
      ...['', '--b/1', ...first, '', '--b/1', ...head, '', ...status],
      ...['', '--b/1', `Content-Type: ${returnedType}`, '', ...returned, '', 'body', '', '--b/1--', ''],
    ].join(lineEnd),
  )
}

const ABOUT = ['Reporting-MTA: dns; mx.far.test', 'Arrival-Date: Mon, 5 Jan 2026 10:00:05 +0000', '']
const FAILED = ['Final-Recipient: rfc822; ann@far.test', 'Action: failed', 'Status: 5.1.1']

/** In the manner of many servers, what each does its own way. */
const samples: Record<string, [octets: Buffer, expected: (string | undefined)[]]> = {
  'extension fields, and a reply folded over lines': [
    reportOf({
      status: [
        ...[
          'Reporting-MTA: dns; mx.far.test',
          'X-Postfix-Queue-ID: 4ZxQ7w3q2Rz1',
          'X-Postfix-Sender: rfc822; smith@example.org',
        ],
        ...['Arrival-Date: Mon,  5 Jan 2026 10:00:05 +0000 (UTC)', ''],
        ...['Final-Recipient: rfc822; ann@far.test', 'Original-Recipient: rfc822;ann@far.test', 'Action: failed'],
        ...[
          'Status: 5.1.1',
          'Remote-MTA: dns; store.far.test',
          'Diagnostic-Code: smtp; 550 5.1.1 <ann@far.test>: Recipient',
        ],
        '    address rejected: User unknown in virtual mailbox table',
      ],
    }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'addresses without a blank, a status of class only, the message returned in part': [
    reportOf({
      status: [
        'Reporting-MTA: dns; exim.far.test',
        '',
        'Action: failed',
        'Final-Recipient: rfc822;ann@far.test',
        'Status: 5.0.0',
      ],
      returned: ['Return-path: <smith@example.org>', ...ORIGINAL],
    }),
    ['failed', '5.0.0', 'ann@far.test'],
  ],
  'a remark behind every value, header only': [
    reportOf({
      status: [
        ...ABOUT,
        ...[
          'Final-Recipient: RFC822; ann@far.test',
          'Action: failed (permanent)',
          'Status: 5.1.1 (bad destination mailbox)',
        ],
        ...['Diagnostic-Code: SMTP; 550 5.1.1 User unknown', 'Last-Attempt-Date: Mon, 5 Jan 2026 10:00:06 GMT'],
      ],
      returnedType: 'text/rfc822-headers',
    }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'names in other cases, many fields of its own': [
    reportOf({
      status: [
        ...['Reporting-MTA: dns;AB1PR01MB0001.far.test', 'Received-From-MTA: dns;mail.example.org', ''],
        ...['final-recipient: rfc822;ann@far.test', 'action: Failed', 'status: 5.1.10'],
        ...['diagnostic-code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found', 'X-Display-Name: Ann'],
      ],
      first: [
        'Content-Type: multipart/alternative; boundary=c',
        '',
        '--c',
        '',
        'text',
        '--c',
        'Content-Type: text/html',
        '',
        '<p>',
        '--c--',
      ],
    }),
    ['failed', '5.1.10', 'ann@far.test'],
  ],
  'a picture in front, the reply in the words of another server': [
    reportOf({
      first: [
        ...[
          'Content-Type: multipart/related; boundary=r',
          '',
          '--r',
          'Content-Type: text/html',
          '',
          '<img src="cid:i">',
          '--r',
        ],
        ...[
          'Content-Type: image/png',
          'Content-ID: <i>',
          'Content-Transfer-Encoding: base64',
          '',
          'iVBORw0KGgo=',
          '--r--',
        ],
      ],
      status: [
        ...['Reporting-MTA: dns; big.test', 'X-Original-Message-ID: <a@example.org>', ''],
        ...[...FAILED, 'Remote-MTA: dns; mx.far.test. (192.0.2.9, the server for the domain far.test.)'],
      ],
    }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'no empty line behind the fields about the message': [
    reportOf({ status: ['Reporting-MTA: dns; mx.far.test', ...FAILED] }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'nothing about the message at all': [reportOf({ status: FAILED }), ['failed', '5.1.1', 'ann@far.test']],
  'an address without its type, in brackets': [
    reportOf({ status: [...ABOUT, 'Final-Recipient: <ann@far.test>', 'Action: failed', 'Status: 5.1.1'] }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'several empty lines': [
    reportOf({ status: ['', ...ABOUT, '', '', ...FAILED, ''] }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'lines that end in a bare LF': [
    reportOf({ status: [...ABOUT, ...FAILED], lineEnd: '\n' }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'base64 where RFC 3464 forbids it': [
    reportOf({ status: [octetsOf([...ABOUT, ...FAILED].join('\r\n')).toString('base64')], encoding: 'base64' }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'a second text in front of the status': [
    reportOf({
      first: ['Content-Type: text/plain', '', 'Text.', '', '--b/1', 'Content-Type: text/html', '', '<p>Text.</p>'],
      status: [...ABOUT, ...FAILED],
    }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'a delay': [
    reportOf({
      status: [
        ...[...ABOUT, 'Final-Recipient: rfc822; ann@far.test', 'Action: delayed', 'Status: 4.4.1'],
        'Will-Retry-Until: Sat, 10 Jan 2026 10:00:05 +0000',
      ],
    }),
    ['delayed', '4.4.1', 'ann@far.test'],
  ],
  'no action': [
    reportOf({ status: [...ABOUT, 'Final-Recipient: rfc822; ann@far.test', 'Status: 5.2.2'] }),
    [undefined, '5.2.2', 'ann@far.test'],
  ],
  'no report-type': [
    reportOf({ status: [...ABOUT, ...FAILED], contentType: 'multipart/report; boundary="b/1"' }),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  'another message in front of the status': [
    octetsOf(
      reportOf({ status: [...ABOUT, ...FAILED] })
        .toString()
        .replace(
          /(?=--b\/1\r\nContent-Type: message\/delivery-status)/,
          '--b/1\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <first@x>\r\n\r\nhi\r\n',
        ),
    ),
    ['failed', '5.1.1', 'ann@far.test'],
  ],
  international: [
    reportOf({
      status: [...ABOUT, 'Final-Recipient: utf-8; gr\\x{FC}n@far.test', 'Action: failed', 'Status: 5.1.1'],
      returnedType: 'message/global-headers',
    }),
    ['failed', '5.1.1', 'grün@far.test'],
  ],
}

for (const [style, [octets, expected]] of Object.entries(samples)) {
  test(`a report is read: ${style}`, () => {
    const report = readReport(octets)
    const [recipient, ...others] = report?.status.recipients ?? []
    assert.deepEqual(others, [])
    assert.deepEqual([recipient?.action, recipient?.status, recipient?.finalRecipient?.value], expected)
    assert.deepEqual(report?.original, {
      messageId: '<a@example.org>',
      receivedIds: ['4ZxQ7w3q2Rz1', '01J9ZK3V8Q6X4T2M7N5R1C0001'],
    })
  })
}

test('what is no report is none', () => {
  const text =
    'Hi. This is the qmail-send program at mx.far.test.\r\n<ann@far.test>:\r\nSorry, no mailbox here by that name.\r\n'
  for (const octets of [
    octetsOf(`Subject: failure notice\r\n\r\n${text}`),
    reportOf({ status: FAILED, statusType: 'text/plain' }),
    reportOf({ status: FAILED, contentType: 'multipart/report; report-type=disposition-notification; boundary="b/1"' }),
    reportOf({ status: [], statusType: 'message/delivery-status' }),
    Buffer.alloc(0),
  ]) {
    assert.equal(readReport(octets), undefined)
  }
})

test('a report that is cut off gives what is there', () => {
  const octets = reportOf({ status: [...ABOUT, ...FAILED] })
  const cut = readReport(octets.subarray(0, octets.indexOf('Message-ID')))
  assert.equal(cut?.status.recipients[0]?.status, '5.1.1')
  assert.equal(cut?.original.messageId, undefined)
  assert.equal(cut?.original.receivedIds.length, 2)
  for (let length = 0; length < octets.length; length++) readReport(octets.subarray(0, length))
})

test('any octets give a report or none, and a bounded one', () => {
  const whole = reportOf({ status: [...ABOUT, ...FAILED] })
  const lines = whole.toString('latin1').split('\r\n')
  const piece = fc.oneof(
    fc.constantFrom(...lines),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      'Received: id',
      'Received: x id <',
      '--b/1--',
      'Content-Transfer-Encoding: base64',
      'Message-ID: <',
      '',
    ),
  )
  const header = lines.slice(0, 4)
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), fc.boolean(), (pieces, isReport) => {
      const report: ReceivedReport | undefined = readReport(
        octetsOf([...(isReport ? header : []), ...pieces].join('\r\n').replaceAll(/[^\0-\xff]/g, '?')),
      )
      assert.ok((report?.original.receivedIds.length ?? 0) <= 100)
    }),
    { numRuns: 500 },
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (octets) => void readReport(Buffer.from(octets))))
  const many = reportOf({ status: FAILED, returned: Array<string>(10_000).fill('Received: by a id b') })
  assert.equal(readReport(many)?.original.receivedIds.length, 100)
})
