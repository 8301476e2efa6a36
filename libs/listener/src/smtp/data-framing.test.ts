import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { DataFraming, type DataRules } from './data-framing.ts'

const strict: DataRules = { bareLineEndings: 'refuse', maxTextLine: 1000 }

interface Outcome {
  content: string | null
  fault: string | null
  rest: string | null
}

function frame(chunks: readonly Buffer[], rules: DataRules): Outcome {
  const framing = new DataFraming(rules)
  const content: Buffer[] = []
  for (const [index, chunk] of chunks.entries()) {
    const part = framing.feed(chunk)
    content.push(...part.content)
    if (part.rest !== null) {
      const rest = Buffer.concat([part.rest, ...chunks.slice(index + 1)]).toString('latin1')
      return { content: framing.fault ? null : text(content), fault: framing.fault, rest }
    }
  }
  return { content: null, fault: framing.fault, rest: null }
}

const text = (parts: Buffer[]): string => Buffer.concat(parts).toString('latin1')

/** The rules said once more, slowly: over the whole input at once, line by line. */
function reference(input: string, rules: DataRules): Outcome {
  const end = `\r\n${input}`.indexOf('\r\n.\r\n')
  if (end < 0) return { content: null, fault: null, rest: null }
  const lines = input.slice(0, end).split('\r\n').slice(0, -1)
  const rest = input.slice(end + 3)
  const unstuffed = lines.map((line) => line.replace(/^\./, ''))
  const bare = lines.some((line) => /[\r\n]/.test(line))
  if (rules.bareLineEndings === 'refuse' && bare) return { content: null, fault: 'bareLineEnding', rest }
  const repaired = unstuffed.map((line) => `${line.replaceAll(/[\r\n]/g, '\r\n')}\r\n`)
  return { content: repaired.join(''), fault: null, rest }
}

function cut(input: string, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((place) => place % (input.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, index) => Buffer.from(input.slice(from, places[index]), 'latin1'))
}

const hostileText = fc
  .array(fc.constantFrom('\r\n', '\r', '\n', '.', '..', '\r\n.', '.\r\n', 'a', 'bc', '\r\n.\r\n', '\u00ff'), {
    maxLength: 40,
  })
  .map((parts) => parts.join(''))

test('framing equals the reference for every text and every way of cutting it', () => {
  fc.assert(
    fc.property(
      hostileText,
      fc.array(fc.nat(200), { maxLength: 30 }),
      fc.constantFrom<DataRules['bareLineEndings']>('refuse', 'repair'),
      (body, cuts, bareLineEndings) => {
        const rules: DataRules = { bareLineEndings, maxTextLine: 1000 }
        const input = `${body}\r\n.\r\nQUIT\r\n`
        assert.deepEqual(frame(cut(input, cuts), rules), reference(input, rules))
      },
    ),
    { numRuns: 3000 },
  )
})

test('the end is found in every split of the terminator', () => {
  const input = 'one\r\n..two\r\n.\r\nRSET\r\n'
  for (let a = 0; a <= input.length; a++) {
    for (let b = a; b <= input.length; b++) {
      const chunks = [input.slice(0, a), input.slice(a, b), input.slice(b)].map((part) => Buffer.from(part))
      assert.deepEqual(frame(chunks, strict), { content: 'one\r\n.two\r\n', fault: null, rest: 'RSET\r\n' })
    }
  }
})

test('no other sequence ends the message, and what follows a bare line ending is never handed out', () => {
  const smuggled = ['\n.\n', '\n.\r\n', '\r.\r', '\r\n.\n', '\r\n.\r', '\r.\r\n', '\r\n\0.\r\n', '\r\r\n.\r\r\n']
  for (const sequence of smuggled) {
    const input = `Subject: x\r\n\r\nhi${sequence}MAIL FROM:<evil@example.com>\r\n.\r\nNOOP\r\n`
    const { content, rest } = frame([Buffer.from(input)], strict)
    assert.equal(rest, 'NOOP\r\n', JSON.stringify(sequence))
    assert.equal(content === null, !sequence.includes('\0'), JSON.stringify(sequence))
  }
})

test('an empty message ends at once', () => {
  assert.deepEqual(frame([Buffer.from('.\r\n')], strict), { content: '', fault: null, rest: '' })
})

test('text lines are bounded however they come', () => {
  const line = (octets: number): string => `${'x'.repeat(octets - 2)}\r\n`
  assert.equal(frame([Buffer.from(`${line(1000)}.\r\n`)], strict).fault, null)
  const long = `${line(1001)}.\r\nNOOP\r\n`
  for (const size of [1, 7, 100, 5000]) {
    const chunks = cut(
      long,
      Array.from({ length: Math.ceil(long.length / size) }, (_, index) => index * size),
    )
    assert.deepEqual(
      frame(chunks, strict),
      { content: null, fault: 'lineTooLong', rest: 'NOOP\r\n' },
      `chunks of ${size}`,
    )
  }
})

test('discarding from any point still finds the end', () => {
  const input = 'a\r\n.b\r\n..\r\n.\r\nNOOP\r\n'
  for (let at = 0; at <= input.indexOf('\r\n.\r\n') + 4; at++) {
    const framing = new DataFraming(strict)
    assert.equal(framing.feed(Buffer.from(input.slice(0, at))).rest, null)
    framing.discard()
    assert.equal(framing.feed(Buffer.from(input.slice(at))).rest?.toString(), 'NOOP\r\n', `from ${at}`)
  }
})

test('a chunk of nothing but CRs or LFs costs no more than its length', () => {
  for (const octet of ['\r', '\n']) {
    const framing = new DataFraming({ bareLineEndings: 'repair', maxTextLine: 1000 })
    const started = performance.now()
    framing.feed(Buffer.alloc(1 << 20, octet))
    assert.ok(performance.now() - started < 30_000)
  }
})
