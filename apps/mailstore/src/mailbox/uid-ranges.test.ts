import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MAX_NUMBER } from '@postbus/imap-wire'

import { formatUidSet, MAX_ANSWERED_LENGTH, type UidRange, uidSetPieces } from './uid-ranges.ts'

test('the first piece of a scattered set fits into one message of the bus, and the others are the rest', () => {
  const scattered = Array.from({ length: 100_000 }, (_, index): UidRange => {
    const uid = MAX_NUMBER - 200_000 + 2 * index
    return [uid, uid]
  })
  const [lowest = '', ...others] = uidSetPieces(scattered, MAX_ANSWERED_LENGTH)
  assert.ok(lowest.length < 1024 * 1024 - 1000)
  assert.equal([lowest, ...others].join(','), formatUidSet(scattered))
})
