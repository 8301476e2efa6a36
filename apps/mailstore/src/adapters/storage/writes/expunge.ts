/** Messages leave a mailbox. What they showed is counted down here and taken away by `purge`. */
import type { Transaction } from '@postbus/sql'
import { type Selectable, sql } from 'kysely'

import { DELETED, SEEN } from '../../../mailbox/flags.ts'
import { above, rangesOf } from '../../../mailbox/uid-ranges.ts'
import type { StorageLimits, WriteContext, WriteOperation } from '../operation.ts'
import { ALL_UIDS, messagesIn } from '../rows.ts'
import { isOneOf, pairsOf } from '../dialect.ts'
import type { Tables } from '../schema.ts'
import { keepExpunged } from './keep-expunged.ts'
import { mailboxByNumber, type MailboxRow, saveMailbox, spend } from '../tables.ts'

export type Going = Pick<Selectable<Tables['messages']>, 'uid' | 'flags' | 'size' | 'email'>

export function expunge({ maxChunk }: StorageLimits): WriteOperation<'expunge'> {
  return async (context, { uids, any, ...mailbox }) => {
    const row = await mailboxByNumber(context.tx, mailbox)
    const columns = ['uid', 'flags', 'size', 'email'] as const
    const wanted = uids ?? ALL_UIDS
    const { rows, done } = await messagesIn(context.tx, row.id, wanted, maxChunk, columns, (of) =>
      any ? of : of.where(sql<boolean>`flags & ${DELETED} <> 0`),
    )
    if (rows.length > 0) {
      await keepExpunged(context, { id: row.id, account: row.account, name: row.name ?? '' }, rows, Date.now())
      await takeAway(context, row, rows)
    }
    const vanished = rangesOf(rows.map(({ uid }) => uid))
    return { vanished, highestModseq: row.highest_modseq, rest: done === null ? [] : above(wanted, done) }
  }
}

/** @param row is counted down and written back */
export async function takeAway(context: WriteContext, row: MailboxRow, rows: readonly Going[]): Promise<void> {
  const { tx } = context
  const uids = rows.map(({ uid }) => uid)
  await countShown(tx, rows, -1)
  const these = isOneOf(tx, 'uid', uids)
  await tx.query.deleteFrom('message_keywords').where('mailbox', '=', row.id).where(these).execute()
  await tx.query.deleteFrom('messages').where('mailbox', '=', row.id).where(these).execute()

  const modseq = ++row.highest_modseq
  const runs = pairsOf(tx, ['first_uid', 'last_uid'], rangesOf(uids))
  await tx.query
    .insertInto('vanished')
    .columns(['mailbox', 'modseq', 'first_uid', 'last_uid'])
    .expression(
      sql<Tables['vanished']>`
        select cast(${row.id} as bigint), cast(${modseq} as bigint), first_uid, last_uid from ${runs} run`,
    )
    .execute()

  let size = 0
  for (const going of rows) {
    size += going.size
    if ((going.flags & SEEN) === 0) row.unseen--
    if (going.flags & DELETED) row.deleted--
  }
  row.messages -= rows.length
  row.size -= size
  context.changed(await saveMailbox(context.tx, row))
  await spend(context.tx, row.account, -size, -rows.length)
}

/** Emails are shown once more or less by each of these messages; two of them may be copies of one email. */
export async function countShown(
  tx: Transaction<Tables>,
  rows: readonly Pick<Going, 'email'>[],
  by: 1 | -1,
): Promise<void> {
  const counts = new Map<number, number>()
  for (const { email } of rows) counts.set(email, (counts.get(email) ?? 0) + by)
  await tx.query
    .updateTable('emails')
    .from(pairsOf(tx, ['email', 'more'], [...counts]).as('shown'))
    .set({ refs: sql<number>`refs + shown.more` })
    .whereRef('emails.id', '=', 'shown.email')
    .execute()
}
