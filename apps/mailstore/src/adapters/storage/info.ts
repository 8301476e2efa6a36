/** A mailbox row as the contract shows it. */
import type { MailboxInfo } from '@postbus/contracts'
import type { Reader } from '@postbus/sql'

import { mailboxId } from '../../mailbox/object-id.ts'
import type { Tables } from './schema.ts'
import type { MailboxRow } from './tables.ts'

interface Beside {
  keywords: readonly string[]
  recent: number
  subscribed: boolean
}

export function mailboxInfo(row: MailboxRow, { keywords, recent, subscribed }: Beside): MailboxInfo {
  return {
    mailbox: row.id,
    mailboxId: mailboxId(row.id),
    name: row.name ?? '',
    uidValidity: row.uid_validity,
    uidNext: row.uid_next,
    highestModseq: row.highest_modseq,
    messages: row.messages,
    unseen: row.unseen,
    deleted: row.deleted,
    size: row.size,
    recent,
    keywords: [...keywords],
    specialUse: row.special_use === '' ? [] : row.special_use.split(' '),
    subscribed,
  }
}

/** A mailbox nobody has opened is \Recent as a whole; one all of whose messages were claimed needs no look either. */
export async function countRecent({ query }: Reader<Tables>, row: MailboxRow): Promise<number> {
  if (row.recent_from <= 1) return row.messages
  if (row.recent_from >= row.uid_next) return 0
  const { count } = await query
    .selectFrom('messages')
    .select((of) => of.fn.countAll<number>().as('count'))
    .where('mailbox', '=', row.id)
    .where('uid', '>=', row.recent_from)
    .executeTakeFirstOrThrow()
  return count
}

export async function infoOf(db: Reader<Tables>, row: MailboxRow): Promise<MailboxInfo> {
  const keywords = await db.query
    .selectFrom('keywords')
    .select('name')
    .where('mailbox', '=', row.id)
    .orderBy('keyword')
    .execute()
  const subscription = await db.query
    .selectFrom('subscriptions')
    .select('name')
    .where('account', '=', row.account)
    .where('name', '=', row.name ?? '')
    .executeTakeFirst()
  return mailboxInfo(row, {
    keywords: keywords.map(({ name }) => name),
    recent: await countRecent(db, row),
    subscribed: subscription !== undefined,
  })
}
