import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodedText } from './decoded-text.ts'
import { octetsOf } from './octets.ts'
import { parseStructureOf } from './parse-structure.ts'
import { headerContains, searchText } from './search-text.ts'

const MESSAGE = Buffer.from(
  [
    'From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>',
    'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus?= =?utf-8?q?_K=C3=B6ln?=',
    ' and folded',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    'preamble',
    '--b',
    'Content-Type: text/plain; charset=utf-8; name=partname',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'Caf=C3=A9 soft=',
    'break, =E2=82=AC',
    '--b',
    'Content-Type: text/plain; charset=iso-8859-15',
    'Content-Transfer-Encoding: base64',
    '',
    octetsOf('gr\xfc\xdfe \xa4').toString('base64'),
    '--b',
    'Content-Type: image/png',
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from('pixels').toString('base64'),
    '--b',
    'Content-Type: message/rfc822',
    '',
    'Subject: nested subject',
    '',
    'nested text',
    '--b--',
    'epilogue',
    '',
  ].join('\r\n'),
)

const chunked = (message: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(message.length / size) }, (_, index) =>
    message.subarray(index * size, (index + 1) * size),
  )

const search = async (kind: 'body' | 'text', value: string, size = MESSAGE.length): Promise<boolean | undefined> =>
  (await searchText(chunked(MESSAGE, size), parseStructureOf(MESSAGE), [{ in: kind, value }]))[0]

test('body text is found decoded, without regard to case, wherever the chunks end', async () => {
  for (const value of ['café', 'CAFE', 'softbreak, €', 'GRÜßE €', 'nested TEXT', '']) {
    for (const size of [1, 7, 4096]) assert.equal(await search('body', value, size), true, `${value} ${size}`)
  }
  for (const value of ['partname', 'nested subject', 'pixels', 'preamble', 'epilogue', 'Subject', '=C3']) {
    assert.equal(await search('body', value), false, value)
  }
})

test('TEXT also looks at every header', async () => {
  for (const value of ['partname', 'nested subject', 'grüße aus köln and folded', 'subject: GR', 'Jürgen <j', 'café']) {
    assert.equal(await search('text', value, 5), true, value)
  }
  assert.equal(await search('text', 'pixels'), false)
})

test('several keys are answered in one pass', async () => {
  const keys = ['café', 'nowhere', 'nested text'].map((value) => ({ in: 'body' as const, value }))
  assert.deepEqual(await searchText([MESSAGE], parseStructureOf(MESSAGE), keys), [true, false, true])
})

test('reading stops when every answer is yes', async () => {
  let read = 0
  async function* chunks(): AsyncGenerator<Buffer> {
    for (const chunk of chunked(MESSAGE, 100)) {
      read++
      yield chunk
    }
  }
  await searchText(chunks(), parseStructureOf(MESSAGE), [{ in: 'text', value: 'Jürgen' }])
  assert.ok(read < MESSAGE.length / 100 / 2)
})

test('a message shorter than its tree is searched as far as it goes', async () => {
  const root = parseStructureOf(MESSAGE)
  assert.deepEqual(await searchText([MESSAGE.subarray(0, 100)], root, [{ in: 'text', value: 'nested' }]), [false])
})

test('header fields are found by name and decoded value', () => {
  assert.ok(headerContains(MESSAGE, 'SUBJECT', 'grüße aus köln and'))
  assert.ok(headerContains(MESSAGE, 'from', ''))
  assert.ok(!headerContains(MESSAGE, 'to', ''))
  assert.ok(!headerContains(MESSAGE, 'subject', 'Jürgen'))
  const folded = octetsOf('Subject: one\r\n \t two\r\n\r\n')
  assert.ok(headerContains(folded, 'subject', 'one two'))
  assert.ok(headerContains(folded, 'subject', 'one \t two'))
})

test('the pieces of a message are the same text, however it is cut', async () => {
  const root = parseStructureOf(MESSAGE)
  const texts = async (size: number): Promise<string> => {
    let text = ''
    for await (const piece of decodedText(chunked(MESSAGE, size), root)) text += piece.text
    return text
  }
  const whole = await texts(MESSAGE.length)
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 60 }), async (size) => assert.equal(await texts(size), whole)),
  )
})

test('bodies are the same text with headers and without', async () => {
  const notMime = octetsOf('Subject: x\r\nContent-transfer-encoding : base64\r\n\r\naGVsbG8=')
  for (const message of [MESSAGE, notMime]) {
    const root = parseStructureOf(message)
    const all = await Array.fromAsync(decodedText([message], root))
    const bodies = await Array.fromAsync(decodedText([message], root, { headers: false }))
    assert.ok(bodies.length > 0 && bodies.length < all.length)
    assert.deepEqual(
      bodies,
      all.filter((piece) => piece.of === 'body'),
    )
  }
})

test('a body is read by the encoding its header names, MIME or not, and in charsets of any kind', async () => {
  const found = async (value: string, ...lines: string[]) => {
    const message = octetsOf(lines.join('\r\n'))
    return (await searchText([message], parseStructureOf(message), [{ in: 'body', value }]))[0]
  }
  assert.ok(await found('hello', 'Content-Transfer-Encoding: base64', '', 'aGVsbG8='))
  assert.ok(!(await found('begin', 'Content-Transfer-Encoding: x-uuencode', '', 'begin')))
  assert.ok(await found('日本', 'Content-Type: text/plain; charset=ISO-2022-JP', '', '\x1b$BF|K\\\x1b(B'))
})

test('a fold is the blank that follows it, a tab a space', () => {
  const header = octetsOf('Subject: one\r\n\ttwo\r\n  three\r\n\r\n')
  assert.ok(headerContains(header, 'subject', 'one two  three'))
})
