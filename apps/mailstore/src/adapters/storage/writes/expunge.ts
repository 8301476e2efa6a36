/** Messages leave a mailbox. What they showed is counted down here and taken away by `purge`. */
import type { Kysely, Selectable } from 'kysely'
import { sql } from 'kysely'

import { DELETED, SEEN } from '../../../mailbox/flags.ts'
import { above, rangesOf } from '../../../mailbox/uid-ranges.ts'
import type { StorageLimits, WriteContext, WriteOperation } from '../operation.ts'
import { ALL_UIDS, messagesIn } from '../rows.ts'
import type { Tables } from '../schema.ts'
import { keepExpunged } from './keep-expunged.ts'
import { mailboxByNumber, type MailboxRow, saveMailbox, spend, uidIn } from '../tables.ts'

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
  const { query } = context.tx
  const uids = rows.map(({ uid }) => uid)
  await countShown(query, rows, -1)
  await query.deleteFrom('message_keywords').where('mailbox', '=', row.id).where(uidIn(uids)).execute()
  await query.deleteFrom('messages').where('mailbox', '=', row.id).where(uidIn(uids)).execute()

  const modseq = ++row.highest_modseq
  const runs = JSON.stringify(rangesOf(uids))
  await query
    .insertInto('vanished')
    .columns(['mailbox', 'modseq', 'first_uid', 'last_uid'])
    .expression(sql<Tables['vanished']>`select ${row.id}, ${modseq}, value ->> 0, value ->> 1 from json_each(${runs})`)
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
export async function countShown(query: Kysely<Tables>, rows: readonly Going[], by: 1 | -1): Promise<void> {
  const counts = new Map<number, number>()
  for (const { email } of rows) counts.set(email, (counts.get(email) ?? 0) + by)
  await query
    .updateTable('emails')
    .from(
      sql<{
        email: number
        by: number
      }>`(select value ->> 0 as email, value ->> 1 as by from json_each(${JSON.stringify([...counts])}))`.as('shown'),
    )
    .set({ refs: sql<number>`refs + shown.by` })
    .whereRef('emails.id', '=', 'shown.email')
    .execute()
}
