import assert from 'node:assert/strict'
import { test } from 'node:test'
import { octetsOf, parseStructureOf } from '@postbus/message'
import fc from 'fast-check'

import { findDeliveryStatus, parseDeliveryStatus } from './parse-report.ts'

const lines = (...all: string[]): Buffer => octetsOf(all.join('\r\n'))

test('a report about several recipients, in the shape of RFC 3464 appendix E.2', () => {
  const status = parseDeliveryStatus(
    lines(
      'Reporting-MTA: dns; cs.example.edu',
      '',
      'Original-Recipient: rfc822;arathib@vnet.example.com',
      'Final-Recipient: rfc822;arathib@vnet.example.com',
      'Action: failed (permanent)',
      'Status: 5.0.0 (permanent failure)',
      'Diagnostic-Code: smtp;',
      "  550 'arathib@vnet.example.com' is not a registered gateway user",
      'Remote-MTA: dns; vnet.example.com',
      '',
      '',
      'Final-Recipient: rfc822;johnh@hpnjld.example.com',
      'Action: DELAYED',
      'Status: 4.0.0 (hpnjld.example.com: host name lookup failure)',
      'Last-Attempt-Date: Fri, 08 Jul 1994 20:00:00 -0400',
      '',
      'Final-Recipient: utf-8;gr\\x{FC}n@example.org',
      'Action: nonsense',
      'Status: 9.9',
      '',
    ),
  )
  assert.deepEqual(status, {
    reportingMta: { type: 'dns', value: 'cs.example.edu' },
    recipients: [
      {
        originalRecipient: { type: 'rfc822', value: 'arathib@vnet.example.com' },
        finalRecipient: { type: 'rfc822', value: 'arathib@vnet.example.com' },
        action: 'failed',
        status: '5.0.0',
        diagnosticCode: {
          type: 'smtp',
          value: "550 'arathib@vnet.example.com' is not a registered gateway user",
        },
        remoteMta: { type: 'dns', value: 'vnet.example.com' },
      },
      {
        finalRecipient: { type: 'rfc822', value: 'johnh@hpnjld.example.com' },
        action: 'delayed',
        status: '4.0.0',
        lastAttemptAt: new Date('1994-07-09T00:00:00Z'),
      },
      { finalRecipient: { type: 'utf-8', value: 'grün@example.org' } },
    ],
  })
})

test('groups that run together are told apart: what is said of one recipient never becomes another’s', () => {
  const styles = [
    [
      'Final-Recipient: rfc822;ann@a',
      'Status: 2.0.0',
      ' ',
      'Final-Recipient: rfc822;bob@a',
      'Action: failed',
      'Status: 5.1.1',
    ],
    [
      'Final-Recipient: rfc822;ann@a',
      'Status: 2.0.0',
      'Original-Recipient: rfc822;bob@a',
      'Final-Recipient: rfc822;bob@a',
      'Action: failed',
      'Status: 5.1.1',
    ],
    [
      'Action: delivered',
      'Final-Recipient: rfc822;ann@a',
      'Status: 2.0.0',
      'Action: failed',
      'Final-Recipient: rfc822;bob@a',
      'Status: 5.1.1',
    ],
    [
      'Final-Recipient: rfc822;ann@a',
      'Original-Recipient: rfc822;ann@a',
      'Status: 2.0.0',
      'Final-Recipient: rfc822;bob@a',
      'Original-Recipient: rfc822;bob@a',
      'Action: failed',
      'Status: 5.1.1',
    ],
  ]
  for (const fields of styles) {
    const status = parseDeliveryStatus(lines('Reporting-MTA: dns; a', '', ...fields, ''))
    const said = status?.recipients.map(({ finalRecipient, action, status }) => [
      finalRecipient?.value,
      action ?? null,
      status,
    ])
    assert.deepEqual(said, [
      ['ann@a', fields[0] === 'Action: delivered' ? 'delivered' : null, '2.0.0'],
      ['bob@a', 'failed', '5.1.1'],
    ])
  }
})

test('only a multipart/report with a delivery status is a report', () => {
  const message = (type: string, second: string): Buffer =>
    lines(
      `Content-Type: ${type}; boundary=b`,
      '',
      '--b',
      '',
      'text',
      '--b',
      `Content-Type: ${second}`,
      '',
      'A: b',
      '--b--',
      '',
    )
  const isReport = (type: string, second: string): boolean =>
    findDeliveryStatus(parseStructureOf(message(type, second))) !== undefined
  assert.ok(isReport('multipart/report; report-type=delivery-status', 'message/delivery-status'))
  assert.ok(isReport('multipart/REPORT', 'message/global-delivery-status'))
  assert.ok(!isReport('multipart/report; report-type=disposition-notification', 'message/disposition-notification'))
  assert.ok(!isReport('multipart/mixed', 'message/delivery-status'))
  assert.ok(!isReport('multipart/report', 'text/plain'))
})

test('any octets give a status or none', () => {
  const piece = fc.constantFrom(
    '\r\n',
    '\n',
    'Action: failed',
    'Status: 5.',
    ';',
    ':',
    ' ',
    'Final-Recipient: rfc822;',
    '\xff',
    '\0',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => void parseDeliveryStatus(octetsOf(pieces.join('')))),
  )
  assert.equal(parseDeliveryStatus(Buffer.alloc(0)), undefined)
  const many = parseDeliveryStatus(octetsOf('A: b\r\n\r\n'.repeat(200_000)))
  assert.equal(many?.recipients.length, 10_000)
})
