/**
 * What nothing shows any more goes in small steps, between other work: messages of deleted mailboxes (kept for a time, as all
 * that is expunged), expunged messages whose time is over, emails without messages, contents without emails, and, after a grace in which readers may finish, their blobs.
 *
 * A content waiting here may be shown again by a delivery of the same message; it is then no longer among those with no refs. Purges
 * take turns, and go on beside the writers of any account: rows that one of these has in hand are left for the next step.
 */
import { sql } from 'kysely'

import { isOneOf, pairsOf, takenFrom } from '../dialect.ts'
import type { WriteContext, WriteOperation } from '../operation.ts'
import { noteGoneTexts } from '../text-index/notes.ts'
import { countShown } from './expunge.ts'
import { keepExpunged } from './keep-expunged.ts'

/** Rows of each kind in one step: some ten milliseconds. */
const STEP = 500

export const purge: WriteOperation<'purge'> = async (context, { at, expungedBefore, blobsBefore, removed }) => {
  const { query } = context.tx
  if (removed.length > 0) await query.deleteFrom('dead_blobs').where('blob', 'in', removed).execute()
  const rows =
    (await purgeMailbox(context)) +
    (await purgeExpunged(context, expungedBefore)) +
    (await purgeEmails(context)) +
    (await purgeContents(context, at))
  const due = await query.selectFrom('dead_blobs').select('blob').where('at', '<', blobsBefore).limit(STEP).execute()
  return { rows, blobs: due.map(({ blob }) => blob) }
}

export const forgetTexts: WriteOperation<'forgetTexts'> = async ({ tx }, { contents }) => {
  await tx.query
    .deleteFrom('dead_texts')
    .where(isOneOf(tx, 'content', contents))
    .execute()
  return null
}

/** Nobody else knows a mailbox without a name. */
async function purgeMailbox(context: WriteContext): Promise<number> {
  const { query } = context.tx
  const mailbox = await query
    .selectFrom('mailboxes')
    .select(['id', 'account'])
    .where('name', 'is', null)
    .limit(1)
    .executeTakeFirst()
  if (mailbox === undefined) return 0
  const rows = await query
    .selectFrom('messages')
    .select(['uid', 'flags', 'size', 'email'])
    .where('mailbox', '=', mailbox.id)
    .orderBy('uid')
    .limit(STEP)
    .execute()
  const last = rows.at(-1)
  if (last === undefined) {
    for (const table of ['vanished', 'keywords', 'message_keywords', 'removed_mailboxes'] as const) {
      await query.deleteFrom(table).where('mailbox', '=', mailbox.id).execute()
    }
    await query.deleteFrom('mailboxes').where('id', '=', mailbox.id).execute()
    return 1
  }
  const removal = await query
    .selectFrom('removed_mailboxes')
    .select(['name', 'at'])
    .where('mailbox', '=', mailbox.id)
    .executeTakeFirst()
  // One that was deleted before there were restorations has none.
  if (removal !== undefined) await keepExpunged(context, { ...mailbox, name: removal.name }, rows, removal.at)
  await countShown(context.tx, rows, -1)
  await query.deleteFrom('messages').where('mailbox', '=', mailbox.id).where('uid', '<=', last.uid).execute()
  return rows.length
}

async function purgeExpunged({ tx }: WriteContext, before: number): Promise<number> {
  const due = tx.query.selectFrom('expunged').select(['id', 'email']).where('at', '<', before)
  const rows = await takenFrom(tx, due.orderBy('at').limit(STEP)).execute()
  if (rows.length === 0) return 0
  await countShown(tx, rows, -1)
  const ids = rows.map(({ id }) => id)
  await tx.query
    .deleteFrom('expunged')
    .where(isOneOf(tx, 'id', ids))
    .execute()
  return rows.length
}

async function purgeEmails({ tx }: WriteContext): Promise<number> {
  const unused = tx.query.selectFrom('emails').select(['id', 'content']).where('refs', '=', 0)
  const emails = await takenFrom(tx, unused.limit(STEP)).execute()
  if (emails.length === 0) return 0
  const ids = emails.map(({ id }) => id)
  await tx.query
    .deleteFrom('emails')
    .where(isOneOf(tx, 'id', ids))
    .execute()
  const fewer = Map.groupBy(emails, ({ content }) => content)
  const counts = [...fewer].map(([content, of]) => [content, of.length] as const)
  await tx.query
    .updateTable('contents')
    .from(pairsOf(tx, ['content', 'fewer'], counts).as('gone'))
    .set({ refs: sql<number>`refs - gone.fewer` })
    .whereRef('contents.id', '=', 'gone.content')
    .execute()
  return emails.length
}

async function purgeContents({ tx }: WriteContext, at: number): Promise<number> {
  const { query } = tx
  const unused = query.selectFrom('contents').select(['id', 'blob']).where('refs', '=', 0)
  const contents = await takenFrom(tx, unused.limit(STEP)).execute()
  if (contents.length === 0) return 0
  const ids = contents.map(({ id }) => id)
  await noteGoneTexts(tx, ids)
  for (const table of ['bodies', 'sort_keys'] as const) {
    await query
      .deleteFrom(table)
      .where(isOneOf(tx, 'content', ids))
      .execute()
  }
  await query
    .deleteFrom('contents')
    .where(isOneOf(tx, 'id', ids))
    .execute()
  const blobs = contents.flatMap(({ blob }) => (blob === null ? [] : [{ blob, at }]))
  if (blobs.length > 0) {
    await query
      .insertInto('dead_blobs')
      .values(blobs)
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
  return contents.length
}
