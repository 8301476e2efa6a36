import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NumberSet, type SearchProgram } from '@postbus/imap-wire'

import { ImapError } from '../reply.ts'
import { Enabled } from './enabled.ts'
import { searchKey } from './search-key.ts'
import { SelectedMailbox } from './selected-mailbox.ts'

const info = {
  ...{
    mailbox: 7,
    mailboxId: 'F7',
    name: 'INBOX',
    uidValidity: 1,
    uidNext: 1,
    highestModseq: 10,
    messages: 0,
    unseen: 0,
  },
  ...{ deleted: 0, size: 0, recent: 0, keywords: [], specialUse: [], subscribed: true },
}
const saved: SearchProgram = { kind: 'numbers', set: { kind: 'saved' } }

test('a long set that is named often does not become a longer program than the bus carries', () => {
  const scattered = NumberSet.from(Array.from({ length: 30_000 }, (_, index) => 2 * index + 1))
  const enabled = new Enabled()
  const selected = new SelectedMailbox(info, scattered, { recentFrom: 1, readOnly: false, enabled })
  selected.save(scattered)
  const times = (count: number) => searchKey({ program: { kind: 'and', keys: Array(count).fill(saved) } }, selected)
  assert.ok(JSON.stringify(times(4)).length < 1024 * 1024)
  assert.throws(
    () => times(500),
    (error) => error instanceof ImapError && error.code === 'LIMIT',
  )
})
