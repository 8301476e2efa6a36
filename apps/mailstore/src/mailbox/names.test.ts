import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isBelow, MAX_LEVELS, normalizeName, superiors } from './names.ts'

test('INBOX is one mailbox in any case, also as the level above others', () => {
  assert.equal(normalizeName('inbox'), 'INBOX')
  assert.equal(normalizeName('InBox/Lists'), 'INBOX/Lists')
  assert.equal(normalizeName('inboxes'), 'inboxes')
  assert.equal(normalizeName('a/inbox'), 'a/inbox')
})

test('a trailing separator is not part of the name', () => {
  assert.equal(normalizeName('projects/'), 'projects')
  assert.equal(normalizeName('/'), null)
})

test('one name has one spelling', () => {
  assert.equal(normalizeName('Entwu\u0308rfe'), 'Entw\u00fcrfe')
})

test('what could not be stored, listed or exported is no name', () => {
  const long = 'x'.repeat(256)
  const deep = Array.from({ length: MAX_LEVELS + 1 }, () => 'x').join('/')
  for (const name of ['', '/a', 'a//b', 'a\r\nb', 'a\u0000', 'a\u0085', '\ud800', long, deep]) {
    assert.equal(normalizeName(name), null, JSON.stringify(name))
  }
})

test('levels above and below', () => {
  assert.deepEqual(superiors('a/b/c'), ['a', 'a/b'])
  assert.deepEqual(superiors('a'), [])
  assert.ok(isBelow('a/b', 'a') && !isBelow('ab', 'a') && !isBelow('a', 'a'))
})
