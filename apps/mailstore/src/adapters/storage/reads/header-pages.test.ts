import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Section } from '@postbus/contracts'

import { type HeaderPage, headerPages, type HeadersOf } from './header-pages.ts'

const fields = (...names: string[]): Section[] => [{ part: '', kind: 'fields', fields: names }]
const SUBJECT: HeadersOf = { mailbox: 1, from: 1, sections: fields('Subject') }
const FROM: HeadersOf = { mailbox: 1, from: 1, sections: fields('From') }

const emails = (first: number): number[] => Array.from({ length: 100 }, (_, at) => first + at)
const page = (bytes: number): HeaderPage => ({
  count: 100,
  lengths: [bytes],
  octets: new Uint8Array(new SharedArrayBuffer(bytes)),
})

test('a page is found by the very emails and sections it was kept for', () => {
  const pages = headerPages(10_000)
  const kept = page(100)
  pages.keep(SUBJECT, emails(1), kept)
  assert.equal(pages.get(SUBJECT, emails(1)), kept)
  assert.equal(pages.get(FROM, emails(1)), undefined)
  assert.equal(pages.get(SUBJECT, emails(2)), undefined)
  assert.equal(pages.get(SUBJECT, emails(1).slice(1)), undefined)
})

test('what is kept is bounded, and what was not used for longest goes first', () => {
  const pages = headerPages(10_000)
  for (const first of [1, 1001, 2001]) pages.keep(SUBJECT, emails(first), page(2000))
  assert.ok(pages.get(SUBJECT, emails(1)))
  pages.keep(SUBJECT, emails(3001), page(6000))
  const there = [1, 1001, 2001, 3001].filter((first) => pages.get(SUBJECT, emails(first)) !== undefined)
  assert.deepEqual(there, [1, 3001])
})

test('a page that is kept twice counts once', () => {
  const pages = headerPages(10_000)
  pages.keep(SUBJECT, emails(1), page(2000))
  for (let turn = 0; turn < 20; turn++) pages.keep(SUBJECT, emails(1001), page(2000))
  assert.ok(pages.get(SUBJECT, emails(1)))
})

test('whether anything is kept of a mailbox from a UID on is known, also when it went', () => {
  const pages = headerPages(10_000)
  pages.keep(SUBJECT, emails(1), page(2000))
  pages.keep(SUBJECT, emails(1001), page(2000))
  assert.deepEqual([SUBJECT, FROM, { ...SUBJECT, mailbox: 2 }, { ...SUBJECT, from: 2 }].map(pages.has), [
    true,
    false,
    false,
    false,
  ])
  pages.keep(FROM, emails(1), page(8000))
  assert.deepEqual([SUBJECT, FROM].map(pages.has), [false, true])
})

test('with nothing to keep it in, nothing is kept', () => {
  const pages = headerPages(0)
  pages.keep(SUBJECT, emails(1), page(1))
  assert.equal(pages.get(SUBJECT, emails(1)), undefined)
})
