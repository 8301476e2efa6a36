/**
 * What nothing shows any more goes in small steps, between other work: messages of deleted mailboxes (kept for a time, as all
 * that is expunged), expunged messages whose time is over, emails without messages, contents without emails, and, after a grace in which readers may finish, their blobs.
 *
 * A content waiting here may be shown again by a delivery of the same message; it is then no longer among those with no refs.
 */

import type { WriteContext, WriteOperation } from '../operation.ts'
import { numbers } from '../tables.ts'
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

export const forgetTexts: WriteOperation<'forgetTexts'> = async ({ tx: { query } }, { contents }) => {
  await query.deleteFrom('dead_texts').where('content', 'in', numbers(contents)).execute()
  return null
}

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
  await countShown(query, rows, -1)
  await query.deleteFrom('messages').where('mailbox', '=', mailbox.id).where('uid', '<=', last.uid).execute()
  return rows.length
}

async function purgeExpunged({ tx: { query } }: WriteContext, before: number): Promise<number> {
  const rows = await query
    .selectFrom('expunged')
    .select(['id', 'uid', 'flags', 'size', 'email'])
    .where('at', '<', before)
    .orderBy('at')
    .limit(STEP)
    .execute()
  if (rows.length === 0) return 0
  await countShown(query, rows, -1)
  await query
    .deleteFrom('expunged')
    .where('id', 'in', numbers(rows.map(({ id }) => id)))
    .execute()
  return rows.length
}

async function purgeEmails({ tx: { query } }: WriteContext): Promise<number> {
  const emails = await query.selectFrom('emails').select(['id', 'content']).where('refs', '=', 0).limit(STEP).execute()
  if (emails.length === 0) return 0
  await query
    .deleteFrom('emails')
    .where('id', 'in', numbers(emails.map(({ id }) => id)))
    .execute()
  for (const { content } of emails) {
    await query
      .updateTable('contents')
      .set((row) => ({ refs: row('refs', '-', 1) }))
      .where('id', '=', content)
      .execute()
  }
  return emails.length
}

async function purgeContents({ tx: { query } }: WriteContext, at: number): Promise<number> {
  const contents = await query.selectFrom('contents').select(['id', 'blob']).where('refs', '=', 0).limit(STEP).execute()
  if (contents.length === 0) return 0
  const ids = numbers(contents.map(({ id }) => id))
  await query.deleteFrom('bodies').where('content', 'in', ids).execute()
  await query.deleteFrom('sort_keys').where('content', 'in', ids).execute()
  await query.deleteFrom('contents').where('id', 'in', ids).execute()
  const dead = contents.map(({ id }) => ({ content: id }))
  await query.insertInto('dead_texts').values(dead).execute()
  for (const { blob } of contents) {
    if (blob === null) continue
    await query
      .insertInto('dead_blobs')
      .values({ blob, at })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
  return contents.length
}
