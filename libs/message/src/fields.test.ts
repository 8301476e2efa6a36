import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { baseSubject } from './base-subject.ts'
import { countReceived, formatField, formatFields } from './compose.ts'
import { formatDate, parseDate } from './date.ts'
import { parseHeader } from './header.ts'
import { createMessageId, parseMessageIds } from './message-id.ts'

const DATES: [value: string, written: string | undefined][] = [
  ['Fri, 21 Nov 1997 09:55:06 -0600', 'Fri, 21 Nov 1997 09:55:06 -0600'],
  ['Thu, 13 Feb 1969 23:32 -0330 (Newfoundland Time)', 'Thu, 13 Feb 1969 23:32:00 -0330'],
  ['21 Nov 97 09:55:06 GMT', 'Fri, 21 Nov 1997 09:55:06 +0000'],
  ['Fri, 21 Nov 1997 09(comment):   55  :  06 -0600', 'Fri, 21 Nov 1997 09:55:06 -0600'],
  ['Mon, 7 Feb 1994 21:52:25 PST', 'Mon, 07 Feb 1994 21:52:25 -0800'],
  ['Mon, 7 Feb 1994 21.52.25 +0100', 'Mon, 07 Feb 1994 21:52:25 +0100'],
  ['7 February 120 1:02 Z', 'Fri, 07 Feb 2020 01:02:00 +0000'],
  ['1 Jan 2020', 'Wed, 01 Jan 2020 00:00:00 +0000'],
  ['Tue, 31 Dec 2024 23:59:60 +0000', 'Wed, 01 Jan 2025 00:00:00 +0000'],
  ['31 Feb 2020 1:00:00 +0000', undefined],
  ['1 Jan 2020 25:00:00 +0000', undefined],
  ['Monday, 7 Feb 1994 21:52:25 -0800', undefined],
  ['Mon 7 Feb 1994 21:52:25 -0800', undefined],
  [', 7 Feb 1994 21:52:25 -0800', undefined],
  ['7 Feb, 1994 21:52:25 -0800', undefined],
  ['7 Feb 1994, 21:52:25 -0800', undefined],
  ['7 Feb 0094 21:52:25 -0800', undefined],
  ['7 Feb 1994 21', undefined],
  ['7 Feb 1994 21:5:25 -0800', undefined],
  ['7 Feb 1994 21:52:25 -0800 (open', undefined],
  ['yesterday', undefined],
  ['', undefined],
]

for (const [value, written] of DATES) {
  test(`the date ${JSON.stringify(value)}`, () => {
    const date = parseDate(value)
    assert.equal(date && formatDate(date.time, date.offset), written)
  })
}

test('a date that is written is read again', () => {
  const time = fc.date({ min: new Date(0), max: new Date('9999-12-30'), noInvalidDate: true })
  fc.assert(
    fc.property(time, fc.integer({ min: -1439, max: 1439 }), (time, offset) => {
      const date = parseDate(formatDate(time, offset))
      assert.equal(date?.time.getTime(), Math.floor(time.getTime() / 1000) * 1000)
      assert.equal(date?.offset, offset)
    }),
  )
})

test('the day is the day the author wrote, whatever the zone', () => {
  assert.equal(parseDate('Mon, 7 Feb 1994 23:52:25 -0800')?.day, '1994-02-07')
})

test('message identifiers', () => {
  const id = createMessageId(new Uint8Array(16).fill(7), new Date(0), 'example.org')
  assert.equal(id, `<0.${'07'.repeat(16)}@example.org>`)
  assert.deepEqual(parseMessageIds(id), [id])
  assert.deepEqual(parseMessageIds('"a <b" <c@d> said\r\n <e @f><g>'), ['<c@d>', '<e@f>', '<g>'])
  assert.deepEqual(parseMessageIds('none > <'), [])
  for (const same of ['<a@x>', '<a @\r\n x>', '<"a"@x>', '<"\\a" @x>', '<(c)a@(c)x(c)>', '(<a@x>)', 'b <a@x> c'])
    assert.deepEqual(parseMessageIds(same), ['<a@x>'], same)
  assert.deepEqual(parseMessageIds('<"a b"@x> <a b@x> <"\\"" @ [1 .2]>'), ['<"a b"@x>', '<ab@x>', '<"\\""@[1 .2]>'])
  assert.deepEqual(parseMessageIds('<a@"x"> <a(b@x> <b@x'), [])
  assert.deepEqual(parseMessageIds('<a[b]@x> <c@[ 1.2]>'), ['<a[b]@x>', '<c@[1.2]>'])
  assert.deepEqual(parseMessageIds('<<a@x>> <b@x>'), ['<<a@x>', '<b@x>'])
  const started = performance.now()
  parseMessageIds('>'.repeat(1 << 20))
  for (const unit of ['<', '<(', '<"', '<a@', '<[', '<a(b)']) parseMessageIds(unit.repeat((1 << 20) / unit.length))
  assert.ok(performance.now() - started < 20_000)
})

test('a written field is one field with the value given, folded at blanks', () => {
  const value = fc
    .array(fc.constantFrom('word', 'w'.repeat(90), ' ', '  ', '\t', '\r\n', '\n', '\0', 'ü', 'Bcc: x'))
    .map((all) => all.join(''))
  fc.assert(
    fc.property(value, (value) => {
      const [field, ...others] = parseHeader(formatFields([['X-Test', value]]))
      assert.equal(others.length, 0)
      assert.equal(field?.name, 'X-Test')
      // Control characters are what is taken out
      assert.equal(field?.value, value.replaceAll(/[\r\n\0]+/g, ' ').replaceAll(/^[ \t]+|[ \t]+$/g, ''))
    }),
  )
  assert.equal(
    formatField('Received', 'from mx.example.org (mx.example.org [192.0.2.1]) by mail.example.com with ESMTPS id 1'),
    'Received: from mx.example.org (mx.example.org [192.0.2.1]) by mail.example.com\r\n with ESMTPS id 1\r\n',
  )
})

test('Received fields are counted', () => {
  assert.equal(
    countReceived(Buffer.from('Received: a\r\n b\r\nreceived : c\r\nReceived-SPF: x\r\n\r\nReceived: no\r\n')),
    2,
  )
})

const SUBJECTS: [value: string, subject: string, isReply: boolean][] = [
  ['Hello', 'Hello', false],
  ['Re: Hello', 'Hello', true],
  ['RE [3]:  Hello  (fwd) ', 'Hello', true],
  ['[list] Fwd: [x] Hello', 'Hello', true],
  ['[fwd: [list] Re: Hello]', 'Hello', true],
  ['[a] [b]', '[b]', false],
  ['[a]', '[a]', false],
  ['=?utf-8?q?Re:_Gr=C3=BC=C3=9Fe?=', 'Grüße', true],
  ['Re: re:', '', true],
  ['Reply: x', 'Reply: x', false],
]

for (const [value, subject, isReply] of SUBJECTS) {
  test(`the base subject of ${value}`, () => assert.deepEqual(baseSubject(value), { subject, isReply }))
}

test('a megabyte of reply marks takes time in proportion to its size', () => {
  const started = performance.now()
  for (const unit of ['Re: ', '[a]', '[', '(fwd)', '[fwd:', 'Re[', 'Re: [a]'])
    baseSubject(unit.repeat((1 << 20) / unit.length))
  baseSubject('[fwd:'.repeat(100_000) + ']'.repeat(100_000))
  assert.ok(performance.now() - started < 20_000)
})
