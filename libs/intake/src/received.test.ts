import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Envelope, QueueId } from '@postbus/contracts'
import { parseHeader } from '@postbus/message'
import fc from 'fast-check'

import { type Client, receivedField } from './received.ts'

const queueId = QueueId.parse('01J9ZK3V8Q6X4T2M7N5R1C0B9A')
const at = new Date('2026-11-23T10:00:00Z')
const client: Client = {
  helo: 'mail.example.com',
  address: '192.0.2.1',
  hostname: 'out.example.com',
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
  protocol: 'ESMTPS',
}
const envelope = (recipients: string[], smtputf8 = false): Envelope =>
  Envelope.parse({
    reversePath: 'smith@example.com',
    recipients: recipients.map((forwardPath) => ({ forwardPath })),
    smtputf8,
  })
const field = (overrides: Partial<Client> = {}, to = envelope(['jones@example.org'])): string =>
  receivedField({ ...client, ...overrides }, 'mx.example.org', queueId, to, at)

test('the field has from, by, with, id, for, tls and the date of RFC 5321', () => {
  assert.equal(
    field(),
    [
      'Received: from mail.example.com (out.example.com [192.0.2.1])',
      '\tby mx.example.org with ESMTPS id 01J9ZK3V8Q6X4T2M7N5R1C0B9A',
      '\tfor <jones@example.org>',
      '\ttls TLS_AES_256_GCM_SHA384 (TLSv1.3);',
      '\tMon, 23 Nov 2026 10:00:00 +0000',
    ].join('\r\n'),
  )
})

test('several recipients are not told of each other', () => {
  assert.doesNotMatch(field({}, envelope(['jones@example.org', 'brown@example.org'])), /for|jones|brown/)
})

test('addresses are literals of their family, without zone and mapping', () => {
  const table: Record<string, string> = {
    '192.0.2.1': '[192.0.2.1]',
    '::ffff:192.0.2.1': '[192.0.2.1]',
    '2001:db8::1': '[IPv6:2001:db8::1]',
    'fe80::1%eth0': '[IPv6:fe80::1]',
  }
  for (const [address, literal] of Object.entries(table)) {
    assert.ok(
      field({ address, hostname: null }).startsWith(`Received: from mail.example.com (${literal})\r\n`),
      address,
    )
  }
})

test('internationalised names are written as they are only in internationalised messages', () => {
  const helo = 'bücher.example'
  assert.match(field({ helo }), /from xn--bcher-kva\.example /)
  assert.match(field({ helo }, envelope(['jö@example.org'], true)), /from bücher\.example .*[^]*for <jö@example\.org>/)
  assert.doesNotMatch(field({}, envelope(['jö@example.org'])), /for/)
})

test('whatever a client or its name server says, the field is one field of short lines with a harmless value', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.constantFrom('a\r\nEvil: 1', 'a) b', '(', 'a; Mon', '<x>', '[1.2.3.4', '"', '\\', '.', 'x'.repeat(950)),
  )
  fc.assert(
    fc.property(hostile, hostile, hostile, hostile, (helo, hostname, cipher, path) => {
      const text = field({ helo, hostname, tls: { version: cipher, cipher } }, envelope([clean(path)]))
      const fields = parseHeader(Buffer.from(`${text}\r\n\r\n`))
      assert.deepEqual(
        fields.map(({ name }) => name),
        ['Received'],
      )
      for (const line of text.split('\r\n')) assert.ok(Buffer.byteLength(line) <= 998 && !/[\r\n\0]/.test(line))
      const value = fields[0]?.value ?? ''
      assert.equal(value.split(';').length, 2, 'the only semicolon stands before the date')
      assert.equal(value.split('(').length, value.split(')').length)
    }),
  )
})

/** As contracts let it through. */
const clean = (path: string): string => path.slice(0, 1000).replaceAll(/[\u0000-\u001f\u007f]/g, '') || 'x'
