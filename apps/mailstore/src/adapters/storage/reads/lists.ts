/** Mailboxes by name, all of them, and one with its UIDs. */
import type { Reader } from '@postbus/sql'
import { sql } from 'kysely'

import { DELETED, SEEN } from '../../../mailbox/flags.ts'
import type { MailboxNamed } from '../../../mailbox/storage.ts'
import { rangesOf, type UidRange } from '../../../mailbox/uid-ranges.ts'
import { countRecent, infoOf, mailboxInfo } from '../info.ts'
import type { ReadOperation } from '../operation.ts'
import type { Tables } from '../schema.ts'
import { type MailboxRow, mailboxByName } from '../tables.ts'

export const account: ReadOperation<'account'> = async ({ query }, input) => {
  const row = await query
    .selectFrom('accounts')
    .select(['used_bytes', 'messages'])
    .where('account', '=', input.account)
    .executeTakeFirst()
  return row === undefined ? null : { usedBytes: row.used_bytes, messages: row.messages }
}

/** A mailbox none of whose messages are marked needs no look at its rows. */
export const deletedSizes: ReadOperation<'deletedSizes'> = async ({ query }, input) => {
  const rows = await query
    .selectFrom('mailboxes')
    .innerJoin('messages', 'messages.mailbox', 'mailboxes.id')
    .select(['mailboxes.id', sql<number>`cast(sum(messages.size) as bigint)`.as('size')])
    .where('mailboxes.account', '=', input.account)
    .where('mailboxes.name', 'is not', null)
    .where('mailboxes.deleted', '>', 0)
    .$if(input.mailbox !== null, (of) => of.where('mailboxes.id', '=', input.mailbox ?? 0))
    .where(sql<boolean>`messages.flags & ${DELETED} <> 0`)
    .groupBy('mailboxes.id')
    .execute()
  return rows.map(({ id, size }) => [id, size])
}

export const list: ReadOperation<'list'> = async (db, input) => {
  const rows = await db.query
    .selectFrom('mailboxes')
    .selectAll()
    .where('account', '=', input.account)
    .where('name', 'is not', null)
    .orderBy('name')
    .execute()
  const keywords = await db.query
    .selectFrom('keywords')
    .innerJoin('mailboxes', 'mailboxes.id', 'keywords.mailbox')
    .select(['keywords.mailbox', 'keywords.name'])
    .where('mailboxes.account', '=', input.account)
    .orderBy('keywords.keyword')
    .execute()
  const namesOf = Map.groupBy(keywords, ({ mailbox }) => mailbox)
  const subscriptions = await db.query
    .selectFrom('subscriptions')
    .select('name')
    .where('account', '=', input.account)
    .execute()
  const subscribed = new Set(subscriptions.map(({ name }) => name))
  const mailboxes = []
  for (const row of rows) {
    mailboxes.push(
      mailboxInfo(row, {
        keywords: (namesOf.get(row.id) ?? []).map(({ name }) => name),
        recent: await countRecent(db, row),
        subscribed: subscribed.has(row.name ?? ''),
      }),
    )
  }
  const names = new Set(rows.map(({ name }) => name))
  return { mailboxes, subscribedOnly: [...subscribed].filter((name) => !names.has(name)).sort() }
}

export const status: ReadOperation<'status'> = async (db, named: MailboxNamed) => {
  const row = await mailboxByName(db, named)
  return row === undefined ? null : infoOf(db, row)
}

export const open: ReadOperation<'open'> = async (db, named) => {
  const row = await mailboxByName(db, named)
  if (row === undefined) return null
  return {
    info: await infoOf(db, row),
    recentFrom: row.recent_from,
    firstUnseen: await firstUnseen(db, row),
    uids: await allUids(db, row),
  }
}

async function firstUnseen({ query }: Reader<Tables>, row: MailboxRow): Promise<number | null> {
  if (row.unseen === 0) return null
  const first = await query
    .selectFrom('messages')
    .select('uid')
    .where('mailbox', '=', row.id)
    .where(sql<boolean>`flags & ${SEEN} = 0`)
    .orderBy('uid')
    .limit(1)
    .executeTakeFirst()
  return first?.uid ?? null
}

async function allUids({ query }: Reader<Tables>, row: MailboxRow): Promise<UidRange[]> {
  // Nothing was ever taken away: the usual new mailbox needs no look at its rows.
  if (row.messages === row.uid_next - 1) return row.messages === 0 ? [] : [[1, row.messages]]
  const rows = await query.selectFrom('messages').select('uid').where('mailbox', '=', row.id).orderBy('uid').execute()
  return rangesOf(rows.map(({ uid }) => uid))
}
