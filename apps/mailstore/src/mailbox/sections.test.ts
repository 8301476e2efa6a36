import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MAX_INLINE_BYTES, Section } from '@postbus/contracts'
import { packStructure, parseStructureOf } from '@postbus/message'

import { cutSections, headerCutters, type HeldContent } from './sections.ts'

const PREFIX = 'Return-Path: <a@example.org>\r\n'
const HEADER = 'Subject: two parts\r\nX-A: 1\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n'
const MULTIPART = `${HEADER}--b\r\n\r\nfirst\r\n--b\r\nContent-Type: text/html\r\n\r\nsecond\r\n--b--\r\n`

function held(text: string, { prefix = PREFIX, inBlob = false } = {}): HeldContent {
  const bytes = Buffer.from(text, 'latin1')
  const root = parseStructureOf(bytes)
  const headerSize = root.header.end
  return {
    prefix: Buffer.from(prefix),
    size: bytes.length,
    headerSize,
    structure: packStructure(root),
    header: bytes.subarray(0, headerSize),
    blob: inBlob ? { key: 'content/x', offset: 1000 } : null,
    read: async (start, end) => new Uint8Array(bytes.subarray(start, end)),
    octets: async function* () {
      yield bytes
    },
  }
}

const section = (part: string, kind: Section['kind'], more: Partial<Section> = {}): Section =>
  Section.parse({ part, kind, ...more })

async function text(content: HeldContent, ...sections: Section[]): Promise<(string | null)[]> {
  const cut = await cutSections(content, sections)
  let next = 0
  return cut.sections.map(({ kind }) =>
    kind === 'inline' ? Buffer.concat(cut.bytes[next++] ?? []).toString('latin1') : null,
  )
}

test('the fields put in front belong to the message and its header, and to nothing else', async () => {
  const content = held(MULTIPART)
  assert.deepEqual(await text(content, section('', 'all'), section('', 'header'), section('', 'text')), [
    PREFIX + MULTIPART,
    PREFIX + HEADER,
    MULTIPART.slice(HEADER.length),
  ])
  assert.deepEqual(await text(content, section('1', 'all'), section('2', 'mime'), section('3', 'all')), [
    'first',
    'Content-Type: text/html\r\n\r\n',
    null,
  ])
})

test('part 1 of what is no multipart is its body, and its MIME header is the whole header', async () => {
  const content = held('Subject: plain\r\n\r\nhello\r\n')
  assert.deepEqual(await text(content, section('1', 'all'), section('1', 'mime'), section('', 'mime')), [
    'hello\r\n',
    `${PREFIX}Subject: plain\r\n\r\n`,
    null,
  ])
})

test('a message without a header has its fields in front all the same', async () => {
  const content = held('\r\nhello')
  assert.deepEqual(await text(content, section('', 'header'), section('', 'text'), section('1', 'all')), [
    `${PREFIX}\r\n`,
    'hello',
    'hello',
  ])
})

test('fields are chosen by name in any case, from what was put in front too', async () => {
  const content = held(MULTIPART)
  const fields = ['subject', 'RETURN-PATH']
  assert.deepEqual(await text(content, section('', 'fields', { fields })), [`${PREFIX}Subject: two parts\r\n\r\n`])
  assert.deepEqual(await text(content, section('', 'fieldsNot', { fields: [...fields, 'content-type'] })), [
    'X-A: 1\r\n\r\n',
  ])
  assert.deepEqual(await text(content, section('', 'fields', { fields, partial: [2, 4] })), ['turn'])
})

test('partials are cut exactly, across what was put in front', async () => {
  const whole = PREFIX + MULTIPART
  const content = held(MULTIPART)
  for (const [first, count] of [
    [0, 5],
    [20, 30],
    [PREFIX.length - 1, 2],
    [PREFIX.length, 9],
    [60, 80],
    [0, 9999],
  ] as const) {
    const partial: [number, number] = [first, count]
    assert.deepEqual(await text(content, section('', 'all', { partial })), [whole.slice(first, first + count)])
  }
  assert.deepEqual(await text(content, section('', 'text', { partial: [100_000, 1] })), [''])
})

test('what is long comes from the blob, led by what the blob does not have', async () => {
  const body = 'x'.repeat(2 * MAX_INLINE_BYTES)
  const content = held(HEADER + body, { inBlob: true })
  const { sections, bytes } = await cutSections(content, [
    section('', 'all'),
    section('', 'text'),
    section('', 'all', { partial: [10, MAX_INLINE_BYTES + 1] }),
    section('', 'header'),
    section('', 'text', { partial: [5, 10] }),
  ])
  const blob = { kind: 'blob', blob: 'content/x' }
  assert.deepEqual(sections, [
    { ...blob, offset: 1000, length: HEADER.length + body.length, lead: true },
    { ...blob, offset: 1000 + HEADER.length, length: body.length },
    { ...blob, offset: 1000, length: MAX_INLINE_BYTES + 1 - (PREFIX.length - 10), lead: true },
    { kind: 'inline' },
    { kind: 'inline' },
  ])
  assert.deepEqual(
    bytes.map((pieces) => Buffer.concat(pieces).toString()),
    [PREFIX, PREFIX.slice(10), PREFIX + HEADER, 'xxxxx'.repeat(2)],
  )
})

const ENCODED = 'Content-Type: multipart/mixed; boundary=b\r\nMIME-Version: 1.0\r\n\r\n'
const encodedPart = (encoding: string, body: string): string =>
  `${ENCODED}--b\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}\r\n--b--\r\n`

test('BINARY is freed from its transfer encoding; partials and sizes count what comes out', async () => {
  const quoted = held(encodedPart('Quoted-Printable', 'Gr=FC=\r\n=DFe'))
  const octets = (more: Partial<Section> = {}) => section('1', 'all', { binary: 'octets', ...more })
  assert.deepEqual(await text(quoted, octets(), octets({ partial: [2, 2] }), octets({ partial: [9, 1] })), [
    'Gr\xfc\xdfe',
    '\xfc\xdf',
    '',
  ])
  const { sections } = await cutSections(quoted, [section('1', 'all', { binary: 'size' })])
  assert.deepEqual(sections, [{ kind: 'size', octets: 5 }])
})

test('BINARY of a text is freed from its encoding where it holds no parts, of a header it is the header', async () => {
  const header = 'Content-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\n'
  const alone = held(`${header}R3L8\r\n`)
  const binary = { binary: 'octets' } as const
  const fields = { ...binary, fields: ['mime-version'] }
  assert.deepEqual(
    await text(alone, section('', 'text', binary), section('', 'header', binary), section('', 'fields', fields)),
    ['Gr\xfc', PREFIX + header, 'MIME-Version: 1.0\r\n\r\n'],
  )
  const size = section('', 'fields', { ...fields, binary: 'size' })
  assert.deepEqual((await cutSections(alone, [size])).sections, [{ kind: 'size', octets: 21 }])
  const parts = held(encodedPart('base64', 'R3L8'))
  assert.deepEqual(await text(parts, section('', 'text', binary)), [
    encodedPart('base64', 'R3L8').slice(ENCODED.length),
  ])
})

test('BINARY of an encoding that is not known is said to be so, and one of no part is absent', async () => {
  const content = held(encodedPart('x-strange', 'x'))
  const wanted = [section('1', 'all', { binary: 'size' }), section('2', 'all', { binary: 'octets' })]
  assert.deepEqual((await cutSections(content, wanted)).sections, [{ kind: 'unknownEncoding' }, { kind: 'absent' }])
})

test('BINARY is freed from the encoding the header names last, MIME or not, and of no other', async () => {
  const sizes = async (header: string) =>
    (await cutSections(held(`${header}\r\n\r\nR3L8`), [section('1', 'all', { binary: 'size' })])).sections
  assert.deepEqual(await sizes('Content-Transfer-Encoding: base64'), [{ kind: 'size', octets: 3 }])
  assert.deepEqual(await sizes('MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64; x'), [
    { kind: 'size', octets: 3 },
  ])
  assert.deepEqual(await sizes('Content-Transfer-Encoding: x\r\nContent-Transfer-Encoding: 8bit'), [
    { kind: 'size', octets: 4 },
  ])
  for (const encoding of ['', 'base64 x', '"base64"', 'base64, 8bit'])
    assert.deepEqual(await sizes(`Content-Transfer-Encoding: ${encoding}`), [{ kind: 'unknownEncoding' }], encoding)
})

test('BINARY of what is damaged is said to be so, whatever of it is asked for', async () => {
  for (const [encoding, body] of [
    ['base64', 'R3L%DvMOf'],
    ['quoted-printable', 'sound, then not =ZZ'],
  ] as const) {
    const content = held(encodedPart(encoding, body))
    const wanted: Partial<Section>[] = [{ binary: 'octets' }, { binary: 'octets', partial: [0, 1] }, { binary: 'size' }]
    const { sections, bytes } = await cutSections(
      content,
      wanted.map((more) => section('1', 'all', more)),
    )
    assert.deepEqual(
      sections,
      wanted.map(() => ({ kind: 'damagedEncoding' })),
    )
    assert.deepEqual(bytes, [])
    assert.deepEqual(await text(content, section('1', 'all')), [body])
  }
})

test('BINARY of what is long comes from the blob, to be decoded on the way', async () => {
  const size = 3 * MAX_INLINE_BYTES
  const base64 = Buffer.alloc(size, 'abc').toString('base64')
  const content = held(encodedPart('base64', base64), { inBlob: true })
  const { sections, bytes } = await cutSections(content, [
    section('1', 'all', { binary: 'octets' }),
    section('1', 'all', { binary: 'octets', partial: [5, 2 * MAX_INLINE_BYTES] }),
    section('1', 'all', { binary: 'octets', partial: [size - 2, 9] }),
    section('1', 'all', { binary: 'size' }),
  ])
  const start = encodedPart('base64', base64).indexOf(base64)
  const blob = { kind: 'blob', blob: 'content/x', offset: 1000 + start, length: base64.length }
  assert.deepEqual(sections, [
    { ...blob, decode: { encoding: 'base64', first: 0, count: size } },
    { ...blob, decode: { encoding: 'base64', first: 5, count: 2 * MAX_INLINE_BYTES } },
    { ...blob, decode: { encoding: 'base64', first: size - 2, count: 2 } },
    { kind: 'size', octets: size },
  ])
  assert.deepEqual(bytes, [])
})

test('headers that are held are cut at once into the octets that are cut out of messages', async () => {
  const sections = [
    section('', 'header'),
    section('', 'fields', { fields: ['x-A', 'subject', 'nothing'] }),
    section('', 'fieldsNot', { fields: ['subject'] }),
  ]
  const cutters = headerCutters(sections)
  for (const header of ['', 'X-A: 1\r\n', HEADER, 'X-A: 1\n folded\n: none\n\n', 'Subject : x\r\n more\r\nx-a']) {
    const octets = cutters?.map((cut) => cut(PREFIX + header))
    assert.deepEqual(octets, await text(held(header), ...sections), header)
  }
})

test('what is more than a header held as a whole is not cut at once', () => {
  for (const more of [section('', 'text'), section('1', 'mime'), section('', 'header', { partial: [0, 9] })])
    assert.equal(headerCutters([section('', 'header'), more]), undefined)
})
