import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Arguments } from './arguments.ts'
import { formatDateTime, parseDate, parseDateTime } from './dates.ts'
import { parseFetchItems, type FetchItem } from './fetch-items.ts'
import { parseFlagList, parseStoreFlags } from './flags.ts'
import { parseListArguments } from './list-arguments.ts'
import { parseSearch, type SearchProgram } from './search-program.ts'
import { parseStatusItems } from './status-items.ts'
import { ImapLimitError, ImapSyntaxError } from './syntax-error.ts'

const of = (line: string, ...rest: (string | Buffer)[]): Arguments => {
  const lines = [line]
  const literals = []
  for (const part of rest) {
    if (typeof part === 'string') lines.push(part)
    else literals.push({ kind: 'held' as const, bytes: part, binary: false })
  }
  if (lines.length === literals.length) lines.push('')
  return new Arguments({ lines, literals })
}

const whole = <Result>(parse: (args: Arguments) => Result, line: string): Result => {
  const args = of(line)
  const result = parse(args)
  args.end()
  return result
}
const refused = (
  parse: (args: Arguments) => unknown,
  line: string,
  text = /./,
  as: new (message: string) => Error = ImapSyntaxError,
) =>
  assert.throws(
    () => whole(parse, line),
    (cause) => cause instanceof as && text.test(cause.message),
    line,
  )

test('strings: atoms, quoted with escapes, literals', () => {
  assert.equal(of('abc]').astring(), 'abc]')
  assert.equal(of('"a \\"b\\" \\\\"').astring(), 'a "b" \\')
  assert.equal(of('', Buffer.from('caf\u00e9 "')).astring(), 'caf\u00e9 "')
  assert.equal(of('""').astring(), '')
  assert.equal(of('NIL').nstring(), null)
  assert.equal(of('"NIL"').nstring(), 'NIL')
  const args = of('one ', Buffer.from('two'), ' "three"')
  assert.deepEqual([args.astring(), args.space().astring(), args.space().astring()], ['one', 'two', 'three'])
  args.end()
  for (const bad of ['"open', '"\\n"', '', '(', '{3', '"\u00ff"']) refused((args) => args.astring(), bad)
})

test('what is wrong is said with what was expected and what was found', () => {
  refused((args) => args.space().astring(), 'x', /Expected a space, found "x"/)
  refused((args) => args.number(), ' 5', /Expected a number, found a space/)
  refused((args) => args.sequenceSet(), '', /Expected a set of message numbers, found the end of the line/)
  refused((args) => args.atom(), 'a b', /Unexpected a space after the last argument/)
})

test('numbers stay within their 32 and 63 bits', () => {
  assert.equal(
    whole((args) => args.number(), '4294967295'),
    4294967295,
  )
  assert.equal(
    whole((args) => args.number64(), '9007199254740991'),
    Number.MAX_SAFE_INTEGER,
  )
  refused((args) => args.number(), '4294967296')
  assert.equal(
    whole((args) => args.number64(), '9223372036854775807'),
    Number.MAX_SAFE_INTEGER,
  )
  assert.equal(
    whole((args) => args.exactNumber64(), '09223372036854775807'),
    9223372036854775807n,
  )
  refused((args) => args.number64(), '9223372036854775808')
  refused((args) => args.number64(), '1'.repeat(1000))
  refused((args) => args.nzNumber(), '0')
})

test('flags have one spelling, once', () => {
  assert.deepEqual(whole(parseFlagList, '(\\seen \\SEEN $Forwarded $forwarded)'), ['\\Seen', '$forwarded'])
  assert.deepEqual(whole(parseFlagList, '()'), [])
  assert.deepEqual(whole(parseStoreFlags, '\\Deleted \\Draft'), ['\\Deleted', '\\Draft'])
  for (const bad of ['(\\Recent)', '(\\*)', '(\\Foo)', '( \\Seen)', '(\\Seen', '(a  b)']) refused(parseFlagList, bad)
})

test('dates and times are calendar dates and UTC times', () => {
  assert.equal(whole(parseDate, '1-feb-1994'), '1994-02-01')
  assert.equal(whole(parseDate, '"29-Feb-2000"'), '2000-02-29')
  for (const bad of ['30-Feb-2000', '0-Jan-2000', '1-Foo-2000', '"1-Jan-2000', '1-Jan-00', '1-Jan-0000'])
    refused(parseDate, bad)
  assert.equal(whole(parseDateTime, '"17-Jul-1996 02:44:25 -0700"'), '1996-07-17T09:44:25.000Z')
  assert.equal(whole(parseDateTime, '" 1-Jan-2020 00:00:00 +0530"'), '2019-12-31T18:30:00.000Z')
  for (const bad of [
    '17-Jul-1996',
    '"1-Jul-1996 02:44:25 -0700"',
    '"17-Jul-1996 25:44:25 -0700"',
    '"31-Dec-9999 23:59:59 -0100"',
  ])
    refused(parseDateTime, bad)
  assert.equal(formatDateTime(Date.parse('1996-07-07T09:44:25.123Z')), '"07-Jul-1996 09:44:25 +0000"')
})

const labels = (items: FetchItem[]): string[] =>
  items.map((item) => (item.kind === 'section' ? `${item.label}${item.peek ? ' peek' : ''}` : item.kind))

test('FETCH items and macros', () => {
  assert.deepEqual(labels(whole(parseFetchItems, 'full')), ['flags', 'internalDate', 'size', 'envelope', 'body'])
  assert.deepEqual(labels(whole(parseFetchItems, 'RFC822.SIZE')), ['size'])
  assert.deepEqual(labels(whole(parseFetchItems, 'body')), ['body'])
  assert.deepEqual(
    labels(whole(parseFetchItems, '(UID BODYSTRUCTURE BODY.PEEK[1.2.mime]<0.2048> RFC822.HEADER BODY[])')),
    ['uid', 'bodyStructure', 'BODY[1.2.MIME]<0> peek', 'RFC822.HEADER peek', 'BODY[]'],
  )
  assert.deepEqual(whole(parseFetchItems, 'BODY[4.2.HEADER.FIELDS.NOT (Date "From")]<5.10>'), [
    {
      kind: 'section',
      section: { part: '4.2', kind: 'fieldsNot', fields: ['Date', 'From'], partial: [5, 10] },
      label: 'BODY[4.2.HEADER.FIELDS.NOT (DATE FROM)]<5>',
      peek: false,
    },
  ])
  assert.deepEqual(whole(parseFetchItems, 'BODY.PEEK[]<9223372036854775807.9223372036854775807>'), [
    {
      kind: 'section',
      section: { part: '', kind: 'all', partial: [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] },
      label: 'BODY[]<9223372036854775807>',
      peek: true,
    },
  ])
  for (const bad of [
    '(ALL)',
    'ALL FAST',
    'FOO',
    'BODY[MIME]',
    'BODY[0]',
    'BODY[1.]',
    'BODY[HEADER.FIELDS ()]',
    'BODY[]<0.0>',
    'BODY[]<0.>',
    'BODY[]<>',
    'BODY.PEEK',
    '()',
    'BODY[1',
  ])
    refused(parseFetchItems, bad)
})

test('SEARCH programs become trees', () => {
  const program = (line: string): SearchProgram => whole(parseSearch, line).program
  assert.deepEqual(program('ALL'), { kind: 'all' })
  assert.deepEqual(program('2:4 NOT DELETED'), {
    kind: 'and',
    keys: [
      { kind: 'numbers', set: { kind: 'ranges', ranges: [[2, 4]] } },
      { kind: 'not', key: { kind: 'flag', flag: '\\Deleted' } },
    ],
  })
  assert.deepEqual(program('OR (UID 1:* SEEN) LARGER 5'), {
    kind: 'or',
    keys: [
      {
        kind: 'and',
        keys: [
          { kind: 'uids', set: { kind: 'ranges', ranges: [[1, '*']] } },
          { kind: 'flag', flag: '\\Seen' },
        ],
      },
      { kind: 'size', is: 'larger', octets: 5 },
    ],
  })
  assert.deepEqual(whole(parseSearch, 'CHARSET UTF-8 HEADER Message-ID ""'), {
    charset: 'UTF-8',
    program: { kind: 'header', field: 'Message-ID', value: Buffer.alloc(0), envelope: false },
  })
  for (const field of ['', 'a b', 'a:'])
    assert.deepEqual(program(`HEADER "${field}" c`), {
      kind: 'header',
      field,
      value: Buffer.from('c'),
      envelope: false,
    })
  assert.deepEqual(program('FROM "Smith"'), {
    kind: 'header',
    field: 'From',
    value: Buffer.from('Smith'),
    envelope: true,
  })
  // Not in the grammar, but emailjs-imap-client quotes it.
  assert.deepEqual(program('KEYWORD "$Forwarded"'), { kind: 'flag', flag: '$Forwarded' })
  for (const bad of [
    '',
    'FOO',
    'NOT',
    'OR SEEN',
    '(SEEN',
    '()',
    'SEEN  SEEN',
    'KEYWORD \\Seen',
    'KEYWORD "\\\\Seen"',
    'KEYWORD ""',
    'KEYWORD "a b"',
    'KEYWORD "\\"a\\""',
    'HEADER (a) c',
    'HEADER "a\u00e9" c',
    'SINCE yesterday',
  ])
    refused(parseSearch, bad)
  refused(parseSearch, `${'NOT '.repeat(1000)}SEEN`, /nested deeper/, ImapLimitError)
  refused(parseSearch, `${'('.repeat(1000)}`, /nested deeper/, ImapLimitError)
  refused(parseSearch, 'SEEN '.repeat(600), /more than 500 keys/, ImapLimitError)
})

test('LIST with the options of RFC 5258', () => {
  const plain = whole(parseListArguments, '"" %')
  assert.deepEqual([plain.reference, plain.patterns, plain.extended], ['', ['%'], false])
  const args = '(SUBSCRIBED RECURSIVEMATCH) "" (INBOX "Sent/%") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))'
  const extended = whole(parseListArguments, args)
  assert.deepEqual([...extended.select], ['SUBSCRIBED', 'RECURSIVEMATCH'])
  assert.deepEqual([...extended.return], ['CHILDREN', 'STATUS'])
  assert.deepEqual(extended.patterns, ['INBOX', 'Sent/%'])
  assert.deepEqual(extended.status, ['MESSAGES', 'UNSEEN'])
  for (const bad of ['(RECURSIVEMATCH) "" *', '"" * RETURN', '(FOO) "" *', '"" ()', '""', '"" * FOO ()'])
    refused(parseListArguments, bad)
  refused(parseStatusItems, '(MESSAGES FOO)')
})
