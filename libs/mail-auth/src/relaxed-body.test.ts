import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import fc from 'fast-check'

import { RelaxedBodyHash } from './relaxed-body.ts'

function hashOf(...chunks: (string | Uint8Array)[]): string {
  const hash = new RelaxedBodyHash()
  for (const chunk of chunks) hash.update(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk)
  return hash.digest()
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'latin1').digest('base64')

test('bodies canonicalize as the RFC’s examples do', () => {
  // RFC 6376 §3.4.5, §3.4.4; RFC 8463 appendix A.2
  assert.equal(hashOf(' C \r\nD \t E\r\n\r\n\r\n'), sha256(' C\r\nD E\r\n'))
  assert.equal(hashOf(), '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')
  assert.equal(
    hashOf('Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n'),
    '2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=',
  )
})

test('line ends at the end count once, blanks at the end of a line never', () => {
  const cases: [body: string, canonical: string][] = [
    ['\r\n\r\n\r\n', ''],
    [' \t\r\n \r\n', ''],
    ['no line end', 'no line end\r\n'],
    ['blanks and no line end \t', 'blanks and no line end\r\n'],
    ['a\r\n\r\n\r\nb\r\n\r\n', 'a\r\n\r\n\r\nb\r\n'],
    ['a\r\n \t\r\nb', 'a\r\n\r\nb\r\n'],
    ['\tindented\r\n', ' indented\r\n'],
    ['a\rb\nc \r d\r', 'a\rb\nc \r d\r\r\n'],
    ['caf\u00e9 \u00a0\r\n', 'caf\u00e9 \u00a0\r\n'],
  ]
  for (const [body, canonical] of cases) assert.equal(hashOf(body), sha256(canonical), JSON.stringify(body))
})

/** RFC 6376 §3.4.4 as rewriting of the whole, for bodies without bare CR and LF. */
function canonical(body: string): string {
  const lines = body.replaceAll(/[ \t]+/g, ' ').replaceAll(/ (?=\r\n|$)/g, '')
  const content = lines.replace(/(?:\r\n)+$/, '')
  return content === '' ? '' : `${content}\r\n`
}

test('where a chunk ends changes nothing', () => {
  const parts = fc.array(fc.constantFrom('a', 'b', ' ', '\t', '\r\n', '\u00e9'), { maxLength: 60 })
  fc.assert(
    fc.property(parts, fc.nat(60), (all, cut) => {
      const body = all.join('')
      assert.equal(hashOf(body.slice(0, cut), body.slice(cut)), sha256(canonical(body)))
    }),
  )
})

test('a line of 40 MiB and as many empty lines are one pass each', () => {
  const [line, empty] = [Buffer.alloc(65_536, 'x'), Buffer.from('\r\n'.repeat(32_768))]
  const hash = new RelaxedBodyHash()
  for (let count = 0; count < 640; count++) hash.update(line)
  for (let count = 0; count < 640; count++) hash.update(empty)
  const expected = createHash('sha256')
  for (let count = 0; count < 640; count++) expected.update(line)
  assert.equal(hash.digest(), expected.update('\r\n').digest('base64'))
})
