import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'

import type { syncMailbox } from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'
import type { z } from 'zod'

import { Output } from '../output.ts'
import type { Account } from './account.ts'
import { Enabled } from './enabled.ts'
import { SelectedMailbox } from './selected-mailbox.ts'
import { tellUpdates } from './updates.ts'

type SyncRow = z.output<(typeof syncMailbox)['row']>

/** A client that knows these UIDs, and what it is told when the mailstore says this. */
async function told(uids: number[], rows: SyncRow[]): Promise<{ selected: SelectedMailbox; lines: string[] }> {
  const info = {
    ...{ mailbox: 7, mailboxId: 'F7', name: 'INBOX', uidValidity: 1, uidNext: 3, highestModseq: 10, messages: 0 },
    ...{ unseen: 0, deleted: 0, size: 0, recent: 0, keywords: [], specialUse: [], subscribed: true },
  }
  const enabled = new Enabled()
  enabled.add('IMAP4rev2')
  const selected = new SelectedMailbox(info, NumberSet.from(uids), { recentFrom: 9, readOnly: false, enabled })
  const client = new PassThrough({ encoding: 'latin1' })
  const out = new Output(client, { maxBufferedBytes: 10_000, stallMs: 1000 })
  const account: unknown = {
    *rows() {
      for (const row of rows) yield { row, bytes: [] }
    },
  }
  // Only what it asks for: the rest of an account is its token.
  await tellUpdates({ account: account as Account, selected, out })
  out.flush()
  return {
    selected,
    lines: String(client.read() ?? '')
      .split('\r\n')
      .slice(0, -1),
  }
}

const message = (uid: number, modseq: number): SyncRow => ({ kind: 'message', uid, modseq, flags: [] })

test('a message that came and went while a look was under way is never told to exist', async () => {
  const { selected, lines } = await told(
    [1, 2],
    [
      ...[message(3, 11), message(4, 12)],
      // The next page: another moment.
      { kind: 'vanished', uids: '2,4' },
      { kind: 'now', highestModseq: 14, uidNext: 5, recentFrom: 5 },
    ],
  )
  assert.deepEqual(lines, ['* 2 EXPUNGE', '* 2 EXISTS'])
  assert.equal(selected.uids.toString(), '1,3')
})

test('EXISTS is not told again when all that came is gone again', async () => {
  const rows: SyncRow[] = [
    message(3, 11),
    { kind: 'vanished', uids: '3' },
    { kind: 'now', highestModseq: 12, uidNext: 4, recentFrom: 4 },
  ]
  const { selected, lines } = await told([1, 2], rows)
  assert.deepEqual(lines, [])
  assert.equal(selected.uids.toString(), '1:2')
})
