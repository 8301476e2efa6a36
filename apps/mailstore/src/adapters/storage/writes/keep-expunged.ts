/**
 * What goes is kept for a time in which it can be restored: its bytes, flags and place. It counts in no mailbox and no quota, and
 * a session never sees it. `purge` ends it.
 */
import { type RawBuilder, sql } from 'kysely'

import { isOneOf, jsonArrayOf, type Speaker } from '../dialect.ts'
import type { WriteContext } from '../operation.ts'
import { countShown, type Going } from './expunge.ts'

interface From {
  id: number
  account: string
  name: string
}

/** Before their rows go. */
export async function keepExpunged(
  { tx }: WriteContext,
  mailbox: From,
  rows: readonly Going[],
  at: number,
): Promise<void> {
  const uids = rows.map(({ uid }) => uid)
  await tx.query
    .insertInto('expunged')
    .columns(['account', 'mailbox_name', 'uid', 'at', 'flags', 'keywords', 'internal_date', 'size', 'email'])
    .expression((of) =>
      of
        .selectFrom('messages')
        .select((row) => [
          row.val(mailbox.account).as('account'),
          row.val(mailbox.name).as('mailbox_name'),
          'uid',
          row.val(at).as('at'),
          'flags',
          keywordNames(tx).as('keywords'),
          'internal_date',
          'size',
          'email',
        ])
        .where('mailbox', '=', mailbox.id)
        .where(isOneOf(tx, 'uid', uids))
        .orderBy('uid'),
    )
    .execute()
  await countShown(tx, rows, 1)
}

const keywordNames = (speaker: Speaker): RawBuilder<string> =>
  sql<string>`(select ${jsonArrayOf(speaker, 'k.name')} from message_keywords mk
    join keywords k on k.mailbox = mk.mailbox and k.keyword = mk.keyword
    where mk.mailbox = messages.mailbox and mk.uid = messages.uid)`
