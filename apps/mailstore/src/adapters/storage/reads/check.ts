/** For `checkAccount`: what is written down beside what it should follow from. */
import { type Kysely, sql } from 'kysely'

import { DELETED, SEEN } from '../../../mailbox/flags.ts'
import type { Counters } from '../../../mailbox/storage.ts'
import type { ReadOperation } from '../operation.ts'
import type { Tables } from '../schema.ts'
import { findMailbox } from '../tables.ts'

export const messagesToCheck: ReadOperation<'messagesToCheck'> = async (db, { after, limit, ...mailbox }) => {
  if ((await findMailbox(db, mailbox)) === undefined) return null
  const rows = await db.query
    .selectFrom('messages')
    .leftJoin('emails', 'emails.id', 'messages.email')
    .leftJoin('contents', 'contents.id', 'emails.content')
    .leftJoin('bodies', 'bodies.content', 'contents.id')
    .select(['messages.uid', 'messages.size', 'contents.id', 'contents.size as content_size', 'header_size'])
    .select(['structure', 'blob', 'blob_offset'])
    .select([
      sql<number>`length(emails.prefix)`.as('prefix_size'),
      sql<number>`length(contents.header) + coalesce(length(bodies.bytes), 0)`.as('held_size'),
    ])
    .where('messages.mailbox', '=', mailbox.mailbox)
    .where('messages.uid', '>', after)
    .orderBy('messages.uid')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    uid: row.uid,
    size: row.size,
    content:
      row.id === null
        ? null
        : {
            id: row.id,
            prefixSize: row.prefix_size,
            size: row.content_size ?? 0,
            headerSize: row.header_size ?? 0,
            structure: row.structure ?? '',
            heldSize: row.held_size,
            blob: row.blob === null ? null : { key: row.blob, offset: row.blob_offset ?? 0 },
          },
  }))
}

export const countersToCheck: ReadOperation<'countersToCheck'> = async (db, mailbox) => {
  const row = await findMailbox(db, mailbox)
  if (row === undefined) return null
  const { messages, unseen, deleted, size, uid_next: uidNext, highest_modseq: highestModseq } = row
  const { count: strayKeywords } = await db.query
    .selectFrom('message_keywords')
    .select((of) => of.fn.countAll<number>().as('count'))
    .where('mailbox', '=', row.id)
    .where(isStray)
    .executeTakeFirstOrThrow()
  return {
    said: { messages, unseen, deleted, size, uidNext, highestModseq },
    counted: await countMessages(db.query, row.id),
    strayKeywords,
  }
}

export const accountToCheck: ReadOperation<'accountToCheck'> = async ({ query }, { account }) => {
  const row = await query
    .selectFrom('accounts')
    .select(['messages', 'used_bytes'])
    .where('account', '=', account)
    .executeTakeFirst()
  if (row === undefined) return null
  const { count } = await wrongReferences(query, account)
    .select((of) => of.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return {
    said: { messages: row.messages, usedBytes: row.used_bytes },
    counted: await countMailboxes(query, account),
    wrongReferences: count,
  }
}

/** Keywords on a UID that no message has. */
export const isStray = sql<boolean>`not exists (select 1 from messages m
  where m.mailbox = message_keywords.mailbox and m.uid = message_keywords.uid)`

export async function countMessages(query: Kysely<Tables>, mailbox: number): Promise<Counters> {
  return query
    .selectFrom('messages')
    .select((of) => of.fn.countAll<number>().as('messages'))
    .select([
      sql<number>`count(*) filter (where flags & ${SEEN} = 0)`.as('unseen'),
      sql<number>`count(*) filter (where flags & ${DELETED} <> 0)`.as('deleted'),
      sql<number>`cast(coalesce(sum(size), 0) as bigint)`.as('size'),
      sql<number>`coalesce(max(uid), 0) + 1`.as('uidNext'),
      sql<number>`coalesce(max(modseq), 1)`.as('highestModseq'),
    ])
    .where('mailbox', '=', mailbox)
    .executeTakeFirstOrThrow()
}

export async function countMailboxes(
  query: Kysely<Tables>,
  account: string,
): Promise<{ messages: number; usedBytes: number }> {
  return query
    .selectFrom('mailboxes')
    .select([
      sql<number>`cast(coalesce(sum(messages), 0) as bigint)`.as('messages'),
      sql<number>`cast(coalesce(sum(size), 0) as bigint)`.as('usedBytes'),
    ])
    .where('account', '=', account)
    .where('name', 'is not', null)
    .executeTakeFirstOrThrow()
}

/** Emails of the account beside how often they are shown, where that is not what they say. */
export const wrongReferences = (query: Kysely<Tables>, account: string) =>
  query
    .with('shown', (db) =>
      db
        .selectFrom(
          db
            .selectFrom('messages')
            .innerJoin('mailboxes', 'mailboxes.id', 'messages.mailbox')
            .select('messages.email')
            .where('mailboxes.account', '=', account)
            .unionAll(db.selectFrom('expunged').select('email').where('account', '=', account))
            .as('each'),
        )
        .select((of) => ['email', of.fn.countAll<number>().as('times')])
        .groupBy('email'),
    )
    .selectFrom('emails')
    .leftJoin('shown', 'shown.email', 'emails.id')
    .where('emails.account', '=', account)
    .where(sql<boolean>`emails.refs <> coalesce(shown.times, 0)`)
