import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hashOfRun, signatureOf } from './signature.ts'

const hasRun = (signature: Uint8Array, run: string): boolean => {
  const place = hashOfRun(run) & (signature.length * 8 - 1)
  return ((signature[place >>> 3] ?? 0) & (1 << (place & 7))) !== 0
}

const runsOf = (text: string): string[] => {
  const characters = [...text]
  return characters.slice(2).map((_, at) => characters.slice(at, at + 3).join(''))
}

/** Words of four to nine letters, the same ones every time. */
function words(count: number, seed: number): string[] {
  let state = seed
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  return Array.from({ length: count }, () =>
    Array.from({ length: 4 + next(6) }, () => String.fromCodePoint(65 + next(26))).join(''),
  )
}

test('a text has the bits of every run in it, whatever its characters', () => {
  for (const text of [
    'NAÏVE ΣΊΣΥΦΟΣ',
    'x\u{1f600}\u{1f601}\u{1f602}y',
    '漢字かな交じり文',
    'a\0b\r\nc',
    words(5000, 1).join(' '),
  ]) {
    const signature = signatureOf(text)
    assert.ok(runsOf(text).every((run) => hasRun(signature, run)))
  }
})

test('few other words have all their bits in it, and it is about a byte to a run', () => {
  const text = words(300, 2).join(' ')
  const signature = signatureOf(text)
  const others = words(2000, 3).filter((word) => !text.includes(word))
  const taken = others.filter((word) => runsOf(word).every((run) => hasRun(signature, run)))
  assert.ok(taken.length < others.length / 25, `${taken.length} of ${others.length}`)
  assert.ok(signature.length < new Set(runsOf(text)).size)
})

test('a text of less than three characters rules out every string the index is asked for', () => {
  for (const text of ['', 'AB']) assert.ok(signatureOf(text).every((byte) => byte === 0))
})
