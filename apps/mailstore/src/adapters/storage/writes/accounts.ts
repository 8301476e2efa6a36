import { type Selectable, sql } from 'kysely'

import { INBOX } from '../../../mailbox/names.ts'
import type { MailDatabase, StorageLimits, WriteContext, WriteOperation } from '../operation.ts'
import { skipKeys } from '../dialect.ts'
import type { Tables } from '../schema.ts'
import { noteOtherTexts } from '../text-index/notes.ts'

/** Creates the account's row and mailboxes unless they exist. */
export function prepareAccount(db: MailDatabase, limits: StorageLimits): WriteOperation<'prepareAccount'> {
  const find = db.prepare<{ account: string }, { account: string }>((query, param) =>
    query.selectFrom('accounts').select('account').where('account', '=', param('account')),
  )
  return async ({ tx }, { account }) => {
    if (await tx.first(find, { account })) return null
    const wanted = [{ name: INBOX, specialUse: '' }, ...limits.defaultMailboxes]
    const first = newUidValidity(0)
    await tx.query
      .insertInto('accounts')
      .values({ account, used_bytes: 0, messages: 0, last_uid_validity: first + wanted.length - 1 })
      .execute()
    for (const [index, { name, specialUse }] of wanted.entries()) {
      await tx.query
        .insertInto('mailboxes')
        .values(emptyMailbox(account, name, first + index, specialUse))
        .execute()
      await tx.query.insertInto('subscriptions').values({ account, name }).execute()
    }
    return null
  }
}

/** Higher than any the account has had, also after a restored backup: seconds since 1970 unless mailboxes came faster than that. */
export function newUidValidity(last: number): number {
  return Math.max(last + 1, Math.floor(Date.now() / 1000))
}

export async function takeUidValidity({ tx }: WriteContext, account: string): Promise<number> {
  const { last_uid_validity: last } = await tx.query
    .selectFrom('accounts')
    .select('last_uid_validity')
    .where('account', '=', account)
    .executeTakeFirstOrThrow()
  const next = newUidValidity(last)
  await tx.query.updateTable('accounts').set({ last_uid_validity: next }).where('account', '=', account).execute()
  return next
}

export function emptyMailbox(
  account: string,
  name: string,
  uidValidity: number,
  specialUse: string,
): Omit<Selectable<Tables['mailboxes']>, 'id'> {
  return {
    account,
    name,
    uid_validity: uidValidity,
    uid_next: 1,
    // RFC 7162 §3.1.2.1: a mailbox that supports mod-sequences never has a HIGHESTMODSEQ of 0.
    highest_modseq: 1,
    recent_from: 1,
    messages: 0,
    unseen: 0,
    deleted: 0,
    size: 0,
    special_use: specialUse,
  }
}

/**
 * RFC 9051 §2.3.1.1: UIDs that may have been given to other messages since must not be taken for the same. Neither must
 * object identifiers, which are these tables' keys — RFC 8474 §4.1, §5.1.
 */
export const renewUidValidities: WriteOperation<'renewUidValidities'> = async ({ tx }) => {
  const { query } = tx
  const now = newUidValidity(0)
  const { numUpdatedRows } = await query
    .updateTable('mailboxes')
    .set({
      uid_validity: sql<number>`
        (select case when a.last_uid_validity < ${now} then ${now} else a.last_uid_validity + 1 end
           from accounts a where a.account = mailboxes.account)
        + (select count(*) from mailboxes m where m.account = mailboxes.account and m.id < mailboxes.id)`,
    })
    .executeTakeFirstOrThrow()
  await query
    .updateTable('accounts')
    .set({
      last_uid_validity: sql<number>`coalesce(
        (select max(m.uid_validity) from mailboxes m where m.account = accounts.account), last_uid_validity)`,
    })
    .execute()
  // Above any key given out since milliseconds were last used here, as no account gets a thousand messages a second all the time.
  for (const table of ['mailboxes', 'emails'] as const) await skipKeys(tx, table, Date.now())
  await noteOtherTexts(tx)
  return Number(numUpdatedRows)
}
