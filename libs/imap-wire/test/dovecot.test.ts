/**
 * What Dovecot 2.3.19 answered to FETCH of several hundred strange messages, recorded once, against what we answer.
 * Each line of the file holds one message and the answers to it; octets stand as characters U+0000–U+00FF. Bare line feeds
 * were made CRLF before recording, because Dovecot sends them so.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { octetsOf, parseStructureOf, sectionRange, selectFields, type SectionName } from '@postbus/message'

import { encodeBodyStructure, encodeEnvelope } from '../src/structure.ts'

interface Recorded {
  name: string
  message: string
  envelope?: string
  body?: string
  structure?: string
  sections?: Record<string, string>
}

/** Where we answer otherwise, and why. Each must really differ. */
const DIFFERENCES = new Map([
  ['disp 381', 'a section number that overflows is no section number'],
  ['disp 385', 'two asterisks are no extended parameter'],
  ['plain', 'BODY and BODYSTRUCTURE show the same spelling; Dovecot shows its cache in one of them'],
  ['header only', 'a header without an empty line gets none: RFC 9051 §6.4.5.1'],
  ['header only no newline', 'a header without an empty line gets none'],
  ['mp header ends', 'a header without an empty line gets none'],
  ['cut3', 'a header whose empty line belongs to a delimiter gets none'],
  ['cut6', 'a header whose empty line belongs to a delimiter gets none'],
  ['rfc822 part empty', 'a header whose empty line belongs to a delimiter gets none'],
  ['rfc822 inner header cut by boundary', 'a header without an empty line gets none'],
])

const recorded = readFileSync(new URL('dovecot-answers.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  // JSON.parse gives any; the file is ours.
  .map((line): Recorded => JSON.parse(line))

test('several hundred strange messages are recorded', () => assert.ok(recorded.length > 600))

for (const row of recorded) {
  const reason = DIFFERENCES.get(row.name)
  if (reason === undefined) test(`as Dovecot: ${row.name}`, () => assert.deepEqual(answers(row), expected(row)))
  else test(`unlike Dovecot: ${row.name}: ${reason}`, () => assert.notDeepEqual(answers(row), expected(row)))
}

type Answers = Omit<Recorded, 'name' | 'message'>

function expected({ name: _name, message: _message, ...answers }: Recorded): Answers {
  return answers
}

function answers(row: Recorded): Answers {
  const message = octetsOf(row.message)
  const root = parseStructureOf(message)
  const result: Answers = {}
  if (row.envelope !== undefined) result.envelope = encodeEnvelope(root.envelope ?? {})
  if (row.body !== undefined) result.body = encodeBodyStructure(root, { extended: false })
  if (row.structure !== undefined) result.structure = encodeBodyStructure(root, { extended: true })
  if (row.sections !== undefined) {
    const entries = Object.keys(row.sections).map((name): [string, string] => {
      const { section, fields } = parseSection(name)
      const range = sectionRange(root, section)
      const octets = range === undefined ? Buffer.alloc(0) : message.subarray(range.start, range.end)
      const cut =
        fields && range !== undefined
          ? Buffer.concat(selectFields(octets, fields, section.kind === 'fieldsNot'))
          : octets
      return [name, cut.toString('latin1')]
    })
    result.sections = Object.fromEntries(entries)
  }
  return result
}

const KINDS: Record<string, SectionName['kind']> = {
  '': 'all',
  HEADER: 'header',
  TEXT: 'text',
  MIME: 'mime',
  'HEADER.FIELDS': 'fields',
  'HEADER.FIELDS.NOT': 'fieldsNot',
}

function parseSection(name: string): { section: SectionName; fields: string[] | undefined } {
  const [, part = '', word = '', list] = /^([0-9.]*?)\.?([A-Z.]*)(?: \((.*)\))?$/.exec(name) ?? []
  return { section: { part, kind: KINDS[word] ?? 'all' }, fields: list?.split(' ') }
}
