import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fetchedMessages, FlagColumns, SectionColumns } from './fetched-messages.ts'
import { FetchedPage, MAX_FETCHED_IN_ROW, type SectionBytes } from './mailstore-messages.ts'

const octets = (text: string): Uint8Array => new TextEncoder().encode(text)
const inline: SectionBytes = { kind: 'inline' }
const blob = { kind: 'blob', blob: 'content/x', offset: 5, length: 9 } as const

test('each message of a page has its own flags, values and octets again', () => {
  const flags = new FlagColumns()
  for (const set of [['\\Seen', 'Work'], undefined, ['\\Seen', 'Work'], []]) flags.add(set)
  const sections = new SectionColumns()
  sections.add([inline, { kind: 'absent' }], [[octets('o'), octets('ne')]])
  sections.add([{ ...blob, lead: true }, inline], [[octets('lead')], []])
  sections.add([blob, { kind: 'size', octets: 7 }], [])
  sections.add([inline, inline], [[octets('four')], [octets('4')]])
  const page = FetchedPage.parse({
    ...{ uids: [3, 5, 8, 9], modseqs: [10, 11, 12, 13], sizes: [1, 2, 3, 4] },
    ...flags.columns(),
    ...sections.columns(),
  })
  assert.deepEqual(page.flagSets, [['\\Seen', 'Work'], []])
  const messages = [...fetchedMessages(page, [sections.octets()])]
  assert.deepEqual(
    messages.map(({ uid, modseq, size, flags: of, envelope }) => [uid, modseq, size, of, envelope]),
    [
      [3, 10, 1, ['\\Seen', 'Work'], undefined],
      [5, 11, 2, undefined, undefined],
      [8, 12, 3, ['\\Seen', 'Work'], undefined],
      [9, 13, 4, [], undefined],
    ],
  )
  assert.deepEqual(
    messages.map((message) => message.sections),
    [
      [{ kind: 'inline', octets: octets('one') }, { kind: 'absent' }],
      [
        { ...blob, lead: octets('lead') },
        { kind: 'inline', octets: octets('') },
      ],
      [
        { ...blob, lead: octets('') },
        { kind: 'size', octets: 7 },
      ],
      [
        { kind: 'inline', octets: octets('four') },
        { kind: 'inline', octets: octets('4') },
      ],
    ],
  )
})

test('a page of inline sections says nothing but their lengths', () => {
  const sections = new SectionColumns()
  for (const text of ['a', 'bc', '']) sections.add([inline, inline], [[octets(text)], [octets(text)]])
  const page = { uids: [1, 2, 3], modseqs: [1, 1, 1], ...sections.columns() }
  assert.deepEqual(sections.columns(), { lengths: [1, 1, 2, 2, 0, 0] })
  const texts = [...fetchedMessages(page, [sections.octets()])].map(({ sections: of = [] }) =>
    of.map((section) => section.kind === 'inline' && new TextDecoder().decode(section.octets)),
  )
  assert.deepEqual(texts, [
    ['a', 'a'],
    ['bc', 'bc'],
    ['', ''],
  ])
})

test('a page with fewer octets than its sections is an error, never a shorter section', () => {
  const page = { uids: [1], modseqs: [1], lengths: [4] }
  for (const asText of [false, true])
    assert.throws(() => [...fetchedMessages(page, [octets('abc')], { asText })], /fewer octets/)
})

test('short sections can be had as text, a character for each octet; long ones and those in blobs stay as they are', () => {
  const every = Uint8Array.from({ length: 256 }, (_, octet) => octet)
  const pageOf = (...of: [SectionBytes, Uint8Array][]) => {
    const sections = new SectionColumns()
    for (const [section, bytes] of of) sections.add([section, inline], [[bytes], []])
    const page = { uids: of.map((_, at) => at + 1), modseqs: of.map(() => 1), ...sections.columns() }
    return [...fetchedMessages(page, [sections.octets()], { asText: true })]
  }
  const [first, second] = pageOf([inline, every], [inline, octets('b')])
  assert.deepEqual([first?.sections, second?.sections], [undefined, undefined])
  assert.deepEqual(first?.texts, [Buffer.from(every).toString('latin1'), ''])
  assert.deepEqual(second?.texts, ['b', ''])
  for (const [message] of [pageOf([inline, new Uint8Array(10_000)]), pageOf([{ ...blob, lead: true }, octets('lead')])])
    assert.deepEqual([message?.texts, message?.sections?.length], [undefined, 2])
})

test('a column of anything but whole numbers is no page', () => {
  const page = { uids: [1], modseqs: [1] }
  assert.ok(FetchedPage.safeParse(page).success)
  const wrong = [{ uids: [0] }, { uids: [1.5] }, { uids: ['1'] }, { modseqs: [-1] }, { sizes: 5 }, { flags: ['0'] }]
  for (const column of wrong) assert.ok(!FetchedPage.safeParse({ ...page, ...column }).success)
  const many = Array.from({ length: MAX_FETCHED_IN_ROW + 1 }, () => 1)
  assert.ok(!FetchedPage.safeParse({ uids: many, modseqs: many }).success)
})
