/**
 * What is advertised is written down and tried: a row in docs/standards.md, section IMAP, and three transcripts. A transcript
 * says what it covers in its first lines: `# RFC 7162 CONDSTORE`.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { capabilities } from '../src/capabilities.ts'

const TRANSCRIPTS = new URL('./transcripts/', import.meta.url)
const STANDARDS = new URL('../../../docs/standards.md', import.meta.url)
const ENOUGH = 3

test('every capability has a row in the table of standards that claims it', async () => {
  const rows = tableOf(await readFile(STANDARDS, 'utf8'), 'IMAP')
  const claimed = new Set(rows.filter(({ status }) => status === 'yes').flatMap(({ names }) => names))
  for (const [name] of capabilities) assert.ok(claimed.has(name), `no row for ${name}`)
})

test(`every capability has ${ENOUGH} transcripts`, async () => {
  const counts = new Map<string, number>()
  for (const file of await readdir(TRANSCRIPTS)) {
    const covered = headOf(await readFile(new URL(file, TRANSCRIPTS), 'utf8'))
    for (const name of covered) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  for (const [name] of capabilities) {
    const count = counts.get(name) ?? 0
    assert.ok(count >= ENOUGH, `${name} has ${count} transcripts`)
  }
})

test('the table names the transcripts of every capability, and no others', async () => {
  const transcripts = new Map<string, Set<string>>()
  for (const file of await readdir(TRANSCRIPTS)) {
    transcripts.set(file.replace(/\.imap$/, ''), headOf(await readFile(new URL(file, TRANSCRIPTS), 'utf8')))
  }
  for (const { names, tests } of tableOf(await readFile(STANDARDS, 'utf8'), 'IMAP')) {
    if (tests.length === 0) continue
    const covering = [...transcripts].filter(([, covered]) => names.some((name) => covered.has(name)))
    assert.deepEqual(tests.toSorted(), covering.map(([name]) => name).toSorted(), names.join(' '))
  }
})

test('every transcript is played by some test', async () => {
  const tests = await Promise.all(
    (await readdir(new URL('.', import.meta.url)))
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => readFile(new URL(file, import.meta.url), 'utf8')),
  )
  for (const file of await readdir(TRANSCRIPTS)) {
    const name = file.replace(/\.imap$/, '')
    assert.ok(
      tests.some((text) => text.includes(`'${name}'`)),
      `nobody plays ${file}`,
    )
  }
})

/** Capabilities named before the conversation begins. */
function headOf(transcript: string): Set<string> {
  const lines = transcript.split('\n')
  const head = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('#')),
  )
  return new Set(head.flatMap((line) => /^# RFC \d+ ([^§:]+)$/.exec(line)?.[1]?.split(', ') ?? []))
}

interface Row {
  /** Beside the numbers. */
  names: string[]
  status: string
  /** Transcripts. */
  tests: string[]
}

function tableOf(markdown: string, section: string): Row[] {
  const [text = ''] = markdown.split(`\n## ${section}\n`)[1]?.split('\n## ') ?? []
  return text
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([, documents = '']) => /^\d/.test(documents))
    .map(([, documents = '', status = '', , tests = '']) => ({
      names: documents.split(/[ ,]+/),
      status,
      tests: tests === '' ? [] : tests.split(', '),
    }))
}
