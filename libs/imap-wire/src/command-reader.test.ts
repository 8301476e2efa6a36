import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { Arguments } from './arguments.ts'
import { CommandReader, type AnnouncedLiteral, type Read, type ReceivedCommand } from './command-reader.ts'
import { parseDate, parseDateTime } from './dates.ts'
import { parseFetchItems } from './fetch-items.ts'
import { parseFlagList, parseStoreFlags } from './flags.ts'
import { parseListArguments, listPatterns } from './list-arguments.ts'
import { parseSearch } from './search-program.ts'
import { parseStatusItems } from './status-items.ts'
import { ImapLimitError, ImapNameError, ImapSyntaxError } from './syntax-error.ts'

const limits = { maxLineBytes: 200, maxHeldBytes: 50, maxLiterals: 3, maxSkippedBytes: 1000 }

type Decision = 'hold' | 'stream' | 'refuse'
const hold = (): Decision => 'hold'

/** Everything the reader says, in short; `+` where a client would be asked to continue. */
function drive(chunks: readonly Uint8Array[], decide: (literal: AnnouncedLiteral) => Decision = hold): string[] {
  const reader = new CommandReader(limits)
  const said: string[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    for (let read = reader.next(); read; read = reader.next()) {
      if (read.kind === 'fatal') return [...said, `fatal: ${read.text}`]
      const last = said.at(-1)
      if (read.kind === 'data' && last?.startsWith('data: ')) {
        said[said.length - 1] = `${last}${Buffer.from(read.bytes).toString('latin1')}`
        continue
      }
      said.push(inShort(read))
      if (read.kind !== 'literal') continue
      const decision = decide(read.literal)
      if (decision === 'refuse') reader.refuse()
      else if (decision === 'stream') reader.stream()
      else if (!reader.hold()) said.push('not held')
    }
  }
  return said
}

function inShort(read: Read): string {
  switch (read.kind) {
    case 'command':
      return `command: ${describe(read.command)}`
    case 'literal': {
      const { size, synchronising, binary } = read.literal
      return `literal: ${describe(read.command)}${binary ? ' ~' : ' '}${size}${synchronising ? '' : '+'}`
    }
    case 'data':
      return `data: ${Buffer.from(read.bytes).toString('latin1')}`
    case 'literalEnd':
      return 'end of literal'
    case 'bad':
      return `bad: ${read.tag ?? '*'} ${read.text}`
    case 'fatal':
      return `fatal: ${read.text}`
  }
}

function describe({ tag, name, text, argumentsAt }: ReceivedCommand): string {
  const literals = text.literals.map((literal) =>
    literal.kind === 'held' ? `<${Buffer.from(literal.bytes).toString('latin1')}>` : `<#${literal.index}>`,
  )
  const rest = text.lines.map((line, at) => `${at === 0 ? line.slice(argumentsAt) : line}${literals[at] ?? ''}`)
  return `${tag}|${name}|${rest.join('')}`
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const whole = (text: string, decide?: (literal: AnnouncedLiteral) => Decision): string[] => drive([bytes(text)], decide)

test('commands come out in order, with their literals in place', () => {
  assert.deepEqual(whole('a1 NOOP\r\na2 uid fetch 1:* FLAGS\r\na3 LOGIN {5+}\r\nalice {3+}\r\npwd\r\n\r\na4 NOOP\n'), [
    'command: a1|NOOP|',
    'command: a2|UID FETCH| 1:* FLAGS',
    'literal: a3|LOGIN|  5+',
    'literal: a3|LOGIN| <alice>  3+',
    'command: a3|LOGIN| <alice> <pwd>',
    'command: a4|NOOP|',
  ])
})

test('a streamed literal is handed out and leaves its number behind', () => {
  const said = whole('a APPEND x {4}\r\nbody {0+}\r\n\r\nb NOOP\r\n', () => 'stream')
  assert.deepEqual(said, [
    'literal: a|APPEND| x  4',
    'data: body',
    'end of literal',
    'literal: a|APPEND| x <#0>  0+',
    'end of literal',
    'command: a|APPEND| x <#0> <#1>',
    'command: b|NOOP|',
  ])
})

test('a refused command is passed over with the literals that are on their way, and with no others', () => {
  assert.deepEqual(
    whole('a FOO {4+}\r\nx\r\ny {2+}\r\nzz\r\nb NOOP\r\n', () => 'refuse'),
    ['literal: a|FOO|  4+', 'command: b|NOOP|'],
  )
  // The client waits, is told NO, and goes on with its next command.
  assert.deepEqual(
    whole('a FOO {5}\r\nb NOOP\r\n', () => 'refuse'),
    ['literal: a|FOO|  5', 'command: b|NOOP|'],
  )
})

test('what is no command is named, passed over with its literals, and the next one is read', () => {
  assert.deepEqual(whole('\u0001 {3+}\r\nabc\r\na\r\nb 1\r\nc NO\u0000OP\r\nd NOOP\r\n'), [
    'bad: * Expected a tag',
    'bad: a Expected the name of a command after the tag',
    'bad: b Expected the name of a command after the tag',
    'bad: c NUL or bare CR in a command',
    'command: d|NOOP|',
  ])
})

test('a line that is too long is read to its end, and so is its literal', () => {
  const long = 'x'.repeat(500)
  assert.deepEqual(whole(`a LOGIN ${long} {4+}\r\n1\r\n2 tail\r\nb NOOP\r\nc ${long} {4}\r\nd NOOP\r\n`), [
    'bad: a Command line longer than 200 octets',
    'command: b|NOOP|',
    'bad: c Command line longer than 200 octets',
    'command: d|NOOP|',
  ])
})

test('literals beyond what may be held are refused; one that is absurd ends it', () => {
  assert.deepEqual(whole('a LOGIN {51+}\r\n' + 'x'.repeat(51) + '\r\nb NOOP\r\n'), [
    'literal: a|LOGIN|  51+',
    'not held',
    'command: b|NOOP|',
  ])
  assert.deepEqual(whole('a LOGIN {51}\r\nb NOOP\r\n'), ['literal: a|LOGIN|  51', 'not held', 'command: b|NOOP|'])
  assert.deepEqual(whole('a LOGIN {1001+}\r\nb NOOP\r\n').at(-1), 'fatal: Literal too large')
  assert.deepEqual(whole('a LOGIN {9223372036854775807}\r\nb NOOP\r\n').slice(1), ['not held', 'command: b|NOOP|'])
  assert.deepEqual(whole('a LOGIN {9223372036854775807+}\r\nb NOOP\r\n').at(-1), 'fatal: Literal too large')
  assert.deepEqual(whole('a LOGIN {99999999999999999999}\r\nb NOOP\r\n'), [
    'bad: a Literal of impossible size',
    'command: b|NOOP|',
  ])
})

test('lines outside commands are taken as they are', () => {
  const reader = new CommandReader(limits)
  reader.push(bytes('DO'))
  assert.equal(reader.nextLine(), undefined)
  reader.push(bytes('NE\r\nb NOOP\r\n'))
  assert.equal(reader.nextLine(), 'DONE')
  assert.equal(reader.next()?.kind, 'command')
  reader.push(bytes('x'.repeat(201)))
  assert.equal(reader.nextLine(), null)
})

const piece = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('a1 NOOP\r\n', 'a2 LOGIN ', 'a3 UID FETCH 1:* (FLAGS)', '\r\n', ' ', '"x y"'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('{3+}\r\n', '{3}\r\n', '~{2+}\r\n', '{0}\r\n', '{60+}\r\n', '{2000+}\r\n', '{'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 400 }).map((count) => 'y'.repeat(count)) },
)
const conversation = fc.array(piece, { maxLength: 30 }).map((pieces) => bytes(pieces.join('')))

test('how the octets are cut into chunks changes nothing', () => {
  const decide = ({ size }: AnnouncedLiteral): Decision => (size === 3 ? 'hold' : size === 0 ? 'refuse' : 'stream')
  fc.assert(
    fc.property(conversation, fc.array(fc.integer({ min: 1, max: 50 })), (octets, cuts) => {
      const chunks: Buffer[] = []
      let at = 0
      for (const cut of cuts) {
        chunks.push(octets.subarray(at, at + cut))
        at += cut
      }
      chunks.push(octets.subarray(at))
      const single = Array.from(octets, (octet) => Buffer.of(octet))
      assert.deepEqual(drive(chunks, decide), drive([octets], decide))
      assert.deepEqual(drive(single, decide), drive([octets], decide))
    }),
    { numRuns: 500 },
  )
})

test('what waits is bounded by the limits, however long a client goes on', () => {
  const reader = new CommandReader(limits)
  for (let chunk = 0; chunk < 10_000; chunk++) {
    reader.push(Buffer.alloc(100, 'z'))
    reader.next()
    assert.ok(reader.buffered <= limits.maxLineBytes + 100)
  }
})

const parsers: ((args: Arguments) => unknown)[] = [
  parseFetchItems,
  parseSearch,
  parseFlagList,
  parseStoreFlags,
  parseStatusItems,
  parseDate,
  parseDateTime,
  (args) => listPatterns(parseListArguments(args), { utf8: args.utf8 }),
  (args) => [args.sequenceSet(), args.space().mailbox(), args.end()],
  (args) => [args.nstring(), args.space().number64(), args.space().nzNumber()],
  (args) => args.streamedLiteral(),
]
const token = fc.oneof(
  fc.constantFrom(
    '(',
    ')',
    ' ',
    '"',
    '\\',
    '[',
    ']',
    '<',
    '>',
    '{',
    '*',
    '%',
    ':',
    ',',
    '.',
    '-',
    '+',
    '/',
    '&',
    '\u00e9',
  ),
  fc.constantFrom(
    'BODY',
    'PEEK',
    'HEADER.FIELDS',
    'OR',
    'NOT',
    'FROM',
    'UID',
    'RETURN',
    'STATUS',
    'NIL',
    '\\Seen',
    'CHARSET',
  ),
  fc.constantFrom('0', '1', '4294967296', '1-Feb-1994', '"17-Jul-1996 02:44:25 -0700"', 'SUBSCRIBED', 'RECURSIVEMATCH'),
  fc.string({ unit: 'binary', maxLength: 5 }).map((text) =>
    bytes(text)
      .toString('latin1')
      .replace(/[\r\n]/g, ''),
  ),
)
const literal = fc.oneof(
  fc.record({ kind: fc.constant('held' as const), bytes: fc.uint8Array({ maxLength: 9 }), binary: fc.boolean() }),
  fc.record({ kind: fc.constant('streamed' as const), index: fc.nat(), size: fc.nat(), binary: fc.boolean() }),
)
const line = fc.array(token, { maxLength: 25 }).map((tokens) => tokens.join(''))

const refusals = [ImapSyntaxError, ImapNameError, ImapLimitError]

test('arguments are read or refused, and nothing else ever comes of them', () => {
  fc.assert(
    fc.property(line, fc.array(fc.tuple(literal, line), { maxLength: 3 }), fc.boolean(), (first, more, utf8) => {
      const text = { lines: [first, ...more.map(([, line]) => line)], literals: more.map(([literal]) => literal) }
      for (const parse of parsers) {
        try {
          parse(new Arguments(text, 0, { utf8 }))
        } catch (cause) {
          assert.ok(
            refusals.some((refusal) => cause instanceof refusal),
            String(cause),
          )
        }
      }
    }),
    { numRuns: 3000 },
  )
})
