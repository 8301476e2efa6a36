import assert from 'node:assert/strict'
import { test } from 'node:test'

import { DELETED, parseFlags, SEEN, systemFlagNames } from './flags.ts'

test('system flags are known in any case and spelt as the RFC does', () => {
  const { system, keywords } = parseFlags(['\\SEEN', '\\deleted'])
  assert.equal(system, SEEN | DELETED)
  assert.deepEqual(keywords, [])
  assert.deepEqual(systemFlagNames(system), ['\\Deleted', '\\Seen'])
})

test('a keyword given twice is one, and what cannot be set is left out', () => {
  assert.deepEqual(parseFlags(['$Work', '$WORK', '\\Recent', '\\Unknown', 'a b', '']), {
    system: 0,
    keywords: ['$WORK'],
  })
})
