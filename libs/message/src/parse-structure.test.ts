import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { octetsOf } from './octets.ts'
import { packStructure, unpackStructure } from './pack-structure.ts'
import { parseStructure, parseStructureOf, StructureParser } from './parse-structure.ts'
import { findPart, sectionRange, selectFields } from './section.ts'
import { type MessagePart, mediaTypeOf, walkParts } from './structure.ts'

const lines = (...all: string[]): Buffer => octetsOf(all.join('\r\n'))

/** The example of RFC 9051 §6.4.5.1: parts 1 to 4.2.2.2. */
const MESSAGE = lines(
  'Subject: outer',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=one',
  '',
  'preamble',
  '--one',
  'Content-Type: text/plain',
  '',
  'part 1',
  '--one',
  'Content-Type: application/octet-stream',
  '',
  'part 2',
  '--one',
  'Content-Type: message/rfc822',
  '',
  'Subject: three',
  'Content-Type: multipart/mixed; boundary=three',
  '',
  '--three',
  'Content-Type: text/plain',
  '',
  'part 3.1',
  '--three',
  'Content-Type: application/octet-stream',
  '',
  'part 3.2',
  '--three--',
  '',
  '--one',
  'Content-Type: multipart/mixed; boundary=four',
  '',
  '--four',
  'Content-Type: image/gif',
  '',
  'part 4.1',
  '--four',
  'Content-Type: message/rfc822',
  '',
  'Subject: four two',
  'Content-Type: multipart/mixed; boundary=fourtwo',
  '',
  '--fourtwo',
  'Content-Type: text/plain',
  '',
  'part 4.2.1',
  '--fourtwo',
  'Content-Type: multipart/alternative; boundary=fourtwotwo',
  '',
  '--fourtwotwo',
  'Content-Type: text/plain',
  '',
  'part 4.2.2.1',
  '--fourtwotwo',
  'Content-Type: text/richtext',
  '',
  'part 4.2.2.2',
  '--fourtwotwo--',
  '--fourtwo--',
  '--four--',
  '--one--',
  'epilogue',
  '',
)

test('every part of the example in RFC 9051 §6.4.5.1 is where its number says', () => {
  const root = parseStructureOf(MESSAGE)
  const octets = (part: string, kind: 'all' | 'header' | 'text' | 'mime'): string | undefined => {
    const range = sectionRange(root, { part, kind })
    return range && MESSAGE.subarray(range.start, range.end).toString()
  }
  for (const part of ['1', '2', '3.1', '3.2', '4.1', '4.2.1', '4.2.2.1', '4.2.2.2']) {
    assert.equal(octets(part, 'all'), `part ${part}`)
  }
  assert.equal(octets('', 'all'), MESSAGE.toString())
  assert.equal(`${octets('', 'header')}${octets('', 'text')}`, MESSAGE.toString())
  assert.equal(octets('3', 'header'), 'Subject: three\r\nContent-Type: multipart/mixed; boundary=three\r\n\r\n')
  assert.equal(`${octets('3', 'header')}${octets('3', 'text')}`, octets('3', 'all'))
  assert.equal(octets('4.2', 'mime'), 'Content-Type: message/rfc822\r\n\r\n')
  assert.equal(octets('1', 'mime'), 'Content-Type: text/plain\r\n\r\n')
  for (const [part, kind] of [
    ['5', 'all'],
    ['1.2', 'all'],
    ['1', 'header'],
    ['1', 'text'],
    ['3.3', 'mime'],
    ['0', 'all'],
  ] as const) {
    assert.equal(octets(part, kind), undefined, `${part} ${kind}`)
  }
  assert.equal(findPart(root, '4.2')?.message?.envelope?.subject, 'four two')
})

test('part 1 of a message that is no multipart is its body', () => {
  const message = lines('Subject: x', '', 'body', '')
  const root = parseStructureOf(message)
  assert.deepEqual(sectionRange(root, { part: '1', kind: 'all' }), root.body)
  assert.equal(sectionRange(root, { part: '1.1', kind: 'all' }), undefined)
})

test('chosen fields come with the empty line, or without if the header has none', () => {
  const header = lines('A: 1', 'B: 2', '  more', 'a: 3', 'C: 4', '', '')
  assert.equal(Buffer.concat(selectFields(header, ['a'], false)).toString(), 'A: 1\r\na: 3\r\n\r\n')
  assert.equal(Buffer.concat(selectFields(header, ['A', 'c'], true)).toString(), 'B: 2\r\n  more\r\n\r\n')
  assert.equal(Buffer.concat(selectFields(header, ['x'], false)).toString(), '\r\n')
  assert.equal(Buffer.concat(selectFields(lines('A: 1'), ['x'], false)).toString(), '')
  assert.equal(Buffer.concat(selectFields(lines('A: 1', 'B: 2'), ['b'], false)).toString(), 'B: 2')
})

test('chosen fields that follow each other are one view of the header', () => {
  const header = lines('A: 1', 'B: 2', 'C: 3', 'D: 4', '', '')
  const views = selectFields(header, ['b', 'c', 'd'], false)
  assert.deepEqual(
    views.map(({ buffer, length }) => [buffer === header.buffer, length]),
    [[true, 20]],
  )
})

const PIECES = [
  '--a',
  '--a--',
  '--ab',
  '--ab--',
  '--a \t',
  '--',
  '-',
  '\r\n',
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\r',
  'text',
  ' ',
  'Subject: s\r\n',
  'From: x <a@b>\r\n',
  'Content-Type: text/html\r\n',
  'Content-Type: multipart/mixed; boundary=a\r\n\r\n',
  'Content-Type: multipart/mixed; boundary=ab\r\n\r\n',
  'Content-Type: multipart/digest; boundary="a"\r\n',
  'Content-Type: multipart/mixed\r\n',
  'Content-Type: message/rfc822\r\n\r\n',
  'Content-Type: message/global\r\n',
  'Content-Transfer-Encoding: base64\r\n',
  '\xff\0',
]

const strangeMessage = fc
  .array(fc.constantFrom(...PIECES), { maxLength: 40 })
  .map((pieces) =>
    octetsOf(`${pieces.length % 2 ? 'Content-Type: multipart/mixed; boundary=a\r\n\r\n' : ''}${pieces.join('')}`),
  )

test('however a message is cut into chunks, its tree is the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      strangeMessage,
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      async (message, sizes) => {
        const chunks: Buffer[] = []
        for (let at = 0, turn = 0; at < message.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          chunks.push(message.subarray(at, at + size))
          at += size
        }
        assert.deepEqual(await parseStructure(chunks), parseStructureOf(message))
      },
    ),
    { numRuns: 1000 },
  )
})

test('ranges lie inside their parents, in order, and together are the message', () => {
  fc.assert(
    fc.property(strangeMessage, (message) => {
      const root = parseStructureOf(message)
      assert.equal(root.header.start, 0)
      assert.equal(root.body.end, message.length)
      for (const part of walkParts(root)) {
        assert.equal(part.header.end, part.body.start)
        assert.ok(part.header.start <= part.header.end && part.body.start <= part.body.end)
        const inside = part.message ? [part.message] : (part.parts ?? [])
        let at = part.body.start
        for (const child of inside) {
          assert.ok(child.header.start >= at && child.body.end <= part.body.end)
          at = child.body.end
        }
        assert.equal(part.bodyLines >= 0, true)
      }
    }),
    { numRuns: 1000 },
  )
})

test('a stored tree is the same when it is read again', () => {
  fc.assert(
    fc.property(strangeMessage, (message) => {
      const root = parseStructureOf(message)
      assert.deepEqual(unpackStructure(packStructure(root)), root)
    }),
  )
  const addresses = parseStructureOf(
    lines(
      'From: A <@x:a@b>, g: c@d;, <@, <e',
      'Date: d',
      'Content-Language: en',
      'Content-Location: u',
      'Content-MD5: m',
      'Content-ID: i',
      'Content-Description: d',
      'Content-Disposition: inline; a=b',
      'MIME-Version: 1.0',
      '',
      '',
    ),
  )
  assert.deepEqual(unpackStructure(packStructure(addresses)), addresses)
})

function count(root: MessagePart): number {
  return [...walkParts(root)].length
}

test('after the last part allowed everything is that part', () => {
  const message = lines('Content-Type: multipart/mixed; boundary=b', '', ...Array(50).fill('--b\r\n\r\nx'), '--b--', '')
  const root = parseStructureOf(message, { parts: 10 })
  assert.equal(count(root), 10)
  assert.equal(root.parts?.at(-1)?.body.end, message.length)
  assert.equal(count(parseStructureOf(message)), 51)
})

test('a container at the last level allowed has no children', () => {
  let message = ''
  for (let level = 1; level < 200; level++)
    message += `Content-Type: multipart/mixed; boundary=x${level}x\r\n\r\n--x${level}x\r\n`
  const root = parseStructureOf(octetsOf(message))
  const last = [...walkParts(root)].at(-1)
  assert.equal(count(root), 100)
  assert.equal(last?.parts, undefined)
  assert.equal(last && mediaTypeOf(last).type, 'multipart')
  assert.equal(count(parseStructureOf(octetsOf('Content-Type: message/rfc822\r\n\r\n'.repeat(200)))), 100)
})

test('fields beyond the header limits count as absent; the ranges stay exact', () => {
  const message = lines(`X: ${'x'.repeat(2000)}`, 'Subject: late', '', 'body')
  const root = parseStructureOf(message, { headerBytes: 1000 })
  assert.deepEqual(root.envelope, {})
  assert.equal(message.subarray(root.body.start, root.body.end).toString(), 'body')
  const parts = Array.from({ length: 100 }, (_, index) => `--b\r\nContent-ID: <${index}>\r\n\r\n`)
  const many = parseStructureOf(lines('Content-Type: multipart/mixed; boundary=b', '', ...parts), {
    allHeaderBytes: 500,
  })
  assert.equal(many.parts?.length, 100)
  assert.equal(many.parts?.[0]?.id, '<0>')
  assert.equal(many.parts?.[99]?.id, undefined)
})

test('hostile messages take time in proportion to their size', () => {
  const started = performance.now()
  const mixed = 'Content-Type: multipart/mixed; boundary=b\r\n\r\n'
  const nested = Array.from(
    { length: 99 },
    (_, n) => `Content-Type: multipart/mixed; boundary=${'-'.repeat(n)}\r\n\r\n--${'-'.repeat(n)}\r\n`,
  )
  const hostile = [
    `${mixed}${'--b\r\n'.repeat(200_000)}`,
    `${mixed}${'--b\r\n\r\nx\r\n'.repeat(10_000)}`,
    `Subject: ${'x'.repeat(1 << 20)}\r\n\r\nx`,
    'Content-Type: message/rfc822\r\n\r\n'.repeat(30_000),
    `${nested.join('')}${`${'-'.repeat(60)}\r\n`.repeat(20_000)}`,
    'To: a@b\r\n'.repeat(100_000),
    '\n'.repeat(1 << 20),
  ]
  for (const message of hostile) {
    const parser = new StructureParser()
    const octets = octetsOf(message)
    for (let at = 0; at < octets.length; at += 4096) parser.write(octets.subarray(at, at + 4096))
    assert.ok(count(parser.end()) <= 10_000)
  }
  assert.ok(performance.now() - started < 20_000)
})

test('a body passes through without being kept', () => {
  const parser = new StructureParser()
  const head = lines('Content-Type: multipart/mixed; boundary=b', '', '--b', '', '')
  parser.write(head)
  const chunk = Buffer.alloc(1 << 20, `${'x'.repeat(76)}\r\n`)
  const before = process.memoryUsage().arrayBuffers
  for (let turn = 0; turn < 200; turn++) parser.write(chunk)
  assert.ok(process.memoryUsage().arrayBuffers - before < 8 << 20)
  assert.equal(parser.end().body.end, 200 * (1 << 20) + head.length)
})
