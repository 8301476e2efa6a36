/** What several operations need: the mailbox row they work on, what the account has used, keywords by number. */
import type { AccountId } from '@postbus/contracts'
import type { Reader, Transaction } from '@postbus/sql'
import type { Selectable } from 'kysely'

import { foldKeyword } from '../../mailbox/flags.ts'
import type { MailboxChange, MailboxNamed, MailboxOf } from '../../mailbox/storage.ts'
import { Refused } from './operation.ts'
import type { Tables } from './schema.ts'

export type MailboxRow = Selectable<Tables['mailboxes']>
type Tx = Transaction<Tables>

export async function findMailbox(
  { query }: Reader<Tables>,
  { account, mailbox }: MailboxOf,
): Promise<MailboxRow | undefined> {
  return query
    .selectFrom('mailboxes')
    .selectAll()
    .where('id', '=', mailbox)
    .where('account', '=', account)
    .where('name', 'is not', null)
    .executeTakeFirst()
}

/** @throws Refused noSuchMailbox */
export async function mailboxByNumber(tx: Tx, mailbox: MailboxOf): Promise<MailboxRow> {
  const row = await findMailbox(tx, mailbox)
  if (row === undefined) throw new Refused('noSuchMailbox', `no mailbox ${mailbox.mailbox}`)
  return row
}

export async function mailboxByName(
  { query }: Reader<Tables>,
  { account, name }: MailboxNamed,
): Promise<MailboxRow | undefined> {
  return query
    .selectFrom('mailboxes')
    .selectAll()
    .where('account', '=', account)
    .where('name', '=', name)
    .executeTakeFirst()
}

/** Writes back what an operation counted. */
export async function saveMailbox({ query }: Tx, row: MailboxRow): Promise<MailboxChange> {
  const { id, account, name: _name, uid_validity: _validity, special_use: _use, ...counted } = row
  await query.updateTable('mailboxes').set(counted).where('id', '=', id).execute()
  // The column holds what was an AccountId when it was written.
  return { account: account as AccountId, mailbox: id, highestModseq: row.highest_modseq, uidNext: row.uid_next }
}

export async function spend({ query }: Tx, account: string, bytes: number, messages: number): Promise<void> {
  if (bytes === 0 && messages === 0) return
  await query
    .updateTable('accounts')
    .set((row) => ({ used_bytes: row('used_bytes', '+', bytes), messages: row('messages', '+', messages) }))
    .where('account', '=', account)
    .execute()
}

export async function usedBytes({ query }: Tx, account: string): Promise<number> {
  const row = await query.selectFrom('accounts').select('used_bytes').where('account', '=', account).executeTakeFirst()
  return row?.used_bytes ?? 0
}

/** Numbers of the keywords of a mailbox by folded name; unknown ones are added. @throws Refused limit */
export async function internKeywords(
  { query }: Tx,
  mailbox: number,
  names: readonly string[],
  max: number,
): Promise<Map<string, number>> {
  const known = await query.selectFrom('keywords').selectAll().where('mailbox', '=', mailbox).execute()
  const numberOf = new Map(known.map(({ folded, keyword }) => [folded, keyword]))
  let last = known.reduce((highest, { keyword }) => Math.max(highest, keyword), 0)
  const added: Tables['keywords'][] = []
  for (const name of names) {
    const folded = foldKeyword(name)
    if (numberOf.has(folded)) continue
    numberOf.set(folded, ++last)
    added.push({ mailbox, keyword: last, name, folded })
  }
  if (added.length > 0) {
    if (numberOf.size > max) throw new Refused('limit', `a mailbox has at most ${max} keywords`)
    await query.insertInto('keywords').values(added).execute()
  }
  return numberOf
}
