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

const inHeader = (lines: string, field: string, value: string, envelope?: boolean): boolean =>
  headerContains(Buffer.from(`${lines}\r\n\r\n`), { field, value, envelope })

test('header fields are found by name and decoded value', () => {
  assert.ok(headerContains(MESSAGE, { field: 'SUBJECT', value: 'grüße aus köln and' }))
  assert.ok(headerContains(MESSAGE, { field: 'from', value: '' }))
  assert.ok(!headerContains(MESSAGE, { field: 'to', value: '' }))
  assert.ok(!headerContains(MESSAGE, { field: 'subject', value: 'Jürgen' }))
})

test('a fold is the blank that follows it, a tab a space; one blank after the colon is none of the value', () => {
  const folded = 'Subject:   one\r\n\ttwo\r\n  three '
  assert.ok(inHeader(folded, 'subject', '  one two  three '))
  assert.ok(!inHeader(folded, 'subject', '   one'))
  assert.ok(!inHeader(folded, 'subject', 'two three'))
})

test('the subject of the envelope has single blanks', () => {
  const subject = 'Subject:   one\r\n\ttwo \t three\t'
  assert.ok(inHeader(subject, 'subject', 'one two three ', true))
  assert.ok(!inHeader(subject, 'subject', ' one', true))
  assert.ok(!inHeader(subject, 'subject', 'two \t three', true))
})

test('addresses of the envelope are in one spelling, each field by itself', () => {
  const from =
    'From: (c) "Ann" <ann@x.example> ,\r\n\tbob @ x . example (Bob B.)\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@x.example>'
  assert.ok(inHeader(from, 'from', 'ann <ann@x.example>, "bob b." <bob@x.example>', true))
  assert.ok(inHeader(from, 'FROM', 'jürgen <j@', true))
  for (const value of ['(', '(c)', '> ,', ', jürgen', ' @ ']) assert.ok(!inHeader(from, 'from', value, true), value)
  assert.ok(inHeader(from, 'from', '(c) "Ann"'))
  assert.ok(inHeader('To: nobody', 'to', '<nobody@missing_domain>', true))
  assert.ok(inHeader('Cc:', 'cc', '', true))
  assert.ok(!inHeader('Cc:', 'cc', '@', true))
})

test('TEXT has the lines of a header as they were written', async () => {
  const message = Buffer.from('Subject:one\r\nX-Y \t:  two  \r\nno colon\r\n\r\n')
  const found = (value: string) => searchText([message], parseStructureOf(message), [{ in: 'text', value }])
  for (const value of ['subject:one\r\nx', 'x-y \t:  two  \r\nno colon\r\n'])
    assert.deepEqual(await found(value), [true], value)
  for (const value of ['subject: one', 'x-y:', ': two']) assert.deepEqual(await found(value), [false], value)
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

test('of several fields that say how a body is read the last counts, and what is no encoding is not read', async () => {
  const found = async (...lines: string[]): Promise<boolean | undefined> => {
    const message = octetsOf(lines.join('\r\n'))
    return (await searchText([message], parseStructureOf(message), [{ in: 'body', value: 'hello' }]))[0]
  }
  const [base64, plain] = ['aGVsbG8=', 'hello']
  assert.ok(await found('Content-Transfer-Encoding: 8bit', 'Content-Transfer-Encoding: BASE64', '', base64))
  assert.ok(await found('Content-Transfer-Encoding: base64', 'Content-Transfer-Encoding: 8bit', '', plain))
  assert.ok(await found('Content-Transfer-Encoding: (c) 7bit (d)', '', plain))
  assert.ok(await found('Content-Transfer-Encoding: base64; x', '', base64))
  assert.ok(await found('Content-Transfer-Encoding: base64 (open', '', base64))
  for (const encoding of ['', '"7bit"', '8 bit', '8bit/x', '8bit x', '8bit, 7bit', '8bit (c) x', '8bit=', 'x-foo'])
    assert.ok(!(await found(`Content-Transfer-Encoding: ${encoding}`, '', plain)), encoding)
  assert.ok(await found('Content-Type: image/png', 'Content-Type: Text / plain', '', plain))
  for (const type of ['', 'text', 'text/', 'garbage', '"text/plain"', 'image/png'])
    assert.ok(!(await found('Content-Type: text/plain', `Content-Type: ${type}`, '', plain)), type)
})

test('base64 is read to its first end', async () => {
  const found = async (body: string, value: string, size = 1000) => {
    const message = octetsOf(`Content-Transfer-Encoding: base64\r\n\r\n${body}`)
    return (await searchText(chunked(message, size), parseStructureOf(message), [{ in: 'body', value }]))[0]
  }
  for (const size of [1, 7, 1000]) {
    assert.ok(await found('aGVs\r\n bG8', 'hello', size))
    assert.ok(await found('aGVsbG8=\r\n--\r\na footer', 'hello', size))
    assert.ok(!(await found('aGVsbG8=aGVsbG8h', '!', size)))
    assert.ok(await found('aGVsb*aGVsbG8h', 'hel', size))
    assert.ok(!(await found('aGVsb*aGVsbG8h', '!', size)))
  }
})
