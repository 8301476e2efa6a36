import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CustodyConfig } from './config.ts'

const streams = (CUSTODY_STREAM_MAX_BYTES: string) =>
  CustodyConfig.safeParse({ MAIL_HOSTNAME: 'mail.example.org', CUSTODY_STREAM_MAX_BYTES }).data
    ?.CUSTODY_STREAM_MAX_BYTES

test('only the two streams that can refuse new work may be bounded', () => {
  assert.deepEqual(streams(''), {})
  assert.deepEqual(streams('MAIL_ACCEPTED=1048576, MAIL_LOCAL=2'), { MAIL_ACCEPTED: 1048576, MAIL_LOCAL: 2 })
  for (const wrong of ['MAIL_OUT=1000', 'MAIL_LOCAL', 'MAIL_LOCAL=0', 'MAIL_LOCAL=2G']) {
    assert.equal(streams(wrong), undefined, wrong)
  }
})
