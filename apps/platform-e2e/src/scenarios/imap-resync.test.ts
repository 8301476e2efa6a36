/** imapflow with QRESYNC: a client that was away opens its mailbox and is told, in that one command, all it missed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { imapClientOf } from '../mailboxes.ts'
import { startPlatform } from '../platform.ts'
import { addAccounts } from '../postbus.ts'

test('a client that was away catches up while it opens the mailbox', async (t) => {
  const platform = await startPlatform(t)
  const ready = platform.ready()
  const { green } = await addAccounts(ready, ['green'])
  const away = await imapClientOf(ready, green, { qresync: true })
  const there = await imapClientOf(ready, green, { qresync: true })
  for (const client of [away, there]) t.after(() => client.close())
  for (const name of ['CONDSTORE', 'QRESYNC', 'IMAP4REV2']) assert.ok(away.enabled.has(name), name)
  for (const subject of ['one', 'two', 'three', 'four'])
    await there.append('INBOX', `Subject: ${subject}\r\n\r\n${subject}\r\n`)

  const { uidValidity, highestModseq } = await away.mailboxOpen('INBOX')
  assert.ok(highestModseq)
  await away.mailboxClose()
  await there.mailboxOpen('INBOX')
  await there.messageFlagsAdd('4', ['\\Flagged'])
  await there.messageDelete('2:3')
  await there.append('INBOX', 'Subject: five\r\n\r\nfive\r\n')

  const vanished: number[] = []
  const flagged = new Map<number, string[]>()
  away.on('expunge', ({ uid = 0 }) => vanished.push(uid))
  away.on('flags', ({ uid = 0, flags }) => flagged.set(uid, [...flags]))
  const { exists } = await away.mailboxOpen('INBOX', { uidValidity, changedSince: highestModseq })
  assert.deepEqual([exists, vanished], [3, [2, 3]])
  assert.deepEqual(
    [...flagged],
    [
      [4, ['\\Flagged']],
      [5, []],
    ],
  )
})
