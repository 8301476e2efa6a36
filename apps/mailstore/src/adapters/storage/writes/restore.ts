/** Expunged messages come back: new UIDs in a mailbox of today, the flags and dates they had, the same bytes. */
import type { Selectable } from 'kysely'

import { DELETED, foldKeyword, SEEN } from '../../../mailbox/flags.ts'
import { type MailDatabase, Refused, type StorageLimits, type WriteContext, type WriteOperation } from '../operation.ts'
import type { Tables } from '../schema.ts'
import { heldFrom, isOneOf } from '../dialect.ts'
import { internKeywords, mailboxByName, type MailboxRow, saveMailbox, spend, usedBytes } from '../tables.ts'
import { together } from '../together.ts'
import { inserts } from './insert.ts'
import { createLevels } from './mailboxes.ts'

type Kept = Selectable<Tables['expunged']>

export function restore(db: MailDatabase, limits: StorageLimits): WriteOperation<'restore'> {
  const insert = inserts(db)

  return async (context, { account, ids, to, at, quotaBytes }) => {
    const { tx } = context
    // Not what `purge` is taking away just now.
    const kept = tx.query.selectFrom('expunged').selectAll().where('account', '=', account)
    const rows = await heldFrom(tx, kept.where(isOneOf(tx, 'id', ids)).orderBy('id')).execute()
    const size = rows.reduce((sum, row) => sum + row.size, 0)
    if (quotaBytes !== null && (await usedBytes(tx, account)) + size > quotaBytes) {
      throw new Refused('overQuota', `${size} octets more are over the quota of ${quotaBytes}`)
    }
    for (const [name, kept] of Map.groupBy(rows, (row) => to ?? row.mailbox_name)) {
      const mailbox = await openOrCreate(context, { account, name }, limits)
      mailbox.highest_modseq++
      const names = kept.flatMap(keywordsOf)
      const numberOf = await internKeywords(tx, mailbox.id, names, limits.maxKeywordsPerMailbox)
      await bringBack(context, mailbox, kept, numberOf)
      context.changed(await saveMailbox(tx, mailbox))
    }
    // Each counted as shown by being kept, and is shown now: `refs` stay as they are.
    await tx.query
      .deleteFrom('expunged')
      .where('account', '=', account)
      .where(isOneOf(tx, 'id', ids))
      .execute()
    await spend(tx, account, size, rows.length)
    return rows.length

    async function bringBack(
      { tx }: WriteContext,
      mailbox: MailboxRow,
      kept: readonly Kept[],
      numberOf: Map<string, number>,
    ): Promise<void> {
      const messages: Tables['messages'][] = []
      const keywords: Tables['message_keywords'][] = []
      for (const row of kept) {
        const uid = mailbox.uid_next++
        const flags = row.flags & ~DELETED
        const dates = { internal_date: row.internal_date, save_date: at }
        const modseq = mailbox.highest_modseq
        messages.push({ mailbox: mailbox.id, uid, modseq, flags, ...dates, size: row.size, email: row.email })
        for (const name of keywordsOf(row)) {
          const keyword = numberOf.get(foldKeyword(name))
          if (keyword !== undefined) keywords.push({ mailbox: mailbox.id, uid, keyword })
        }
        mailbox.messages++
        mailbox.size += row.size
        if ((flags & SEEN) === 0) mailbox.unseen++
      }
      await together<unknown>([insert.messages(tx, messages), insert.keywords(tx, keywords)])
    }
  }
}

/** Our own column: written by keepExpunged. */
const keywordsOf = ({ keywords }: Kept): string[] => JSON.parse(keywords) as string[]

async function openOrCreate(
  context: WriteContext,
  named: { account: Parameters<typeof mailboxByName>[1]['account']; name: string },
  limits: StorageLimits,
): Promise<MailboxRow> {
  const found = await mailboxByName(context.tx, named)
  if (found !== undefined) return found
  await createLevels(context, named, limits, '')
  const created = await mailboxByName(context.tx, named)
  if (created === undefined) throw new Error(`${named.name} was created and is not there`)
  return created
}
