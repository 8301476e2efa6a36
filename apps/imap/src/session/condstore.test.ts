import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NumberSet } from '@postbus/imap-wire'

import { highestModseq } from './condstore.ts'
import { Enabled } from './enabled.ts'
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

test('HIGHESTMODSEQ waits for a look at the mailbox, and is what that look came to', () => {
  const enabled = new Enabled()
  const selected = new SelectedMailbox(info, NumberSet.empty, { recentFrom: 1, readOnly: false, enabled })
  assert.deepEqual(highestModseq(selected), {})
  enabled.add('QRESYNC')
  const { code } = highestModseq(selected)
  assert.ok(selected.changed && typeof code === 'function')
  selected.lookedUpTo(12, 1)
  assert.equal(code(), 'HIGHESTMODSEQ 12')
})

test('what a client enabled stays so; QRESYNC brings CONDSTORE along', () => {
  const enabled = new Enabled()
  assert.ok(enabled.tellsRecent && !enabled.utf8)
  enabled.add('QRESYNC')
  enabled.add('IMAP4rev2')
  assert.ok(enabled.has('CONDSTORE') && enabled.utf8 && !enabled.tellsRecent)
})
