/** What several operations need: the mailbox row they work on, what the account has used, keywords by number. */
import type { AccountId } from '@postbus/contracts'
import { type Reader, statement, type Transaction } from '@postbus/sql'
import type { Selectable } from 'kysely'

import { foldKeyword } from '../../mailbox/flags.ts'
import type { MailboxChange, MailboxNamed, MailboxOf } from '../../mailbox/storage.ts'
import { Refused } from './operation.ts'
import type { Tables } from './schema.ts'

export type MailboxRow = Selectable<Tables['mailboxes']>
type Tx = Transaction<Tables>

const mailboxWithNumber = statement<Tables, MailboxOf, MailboxRow>((query, param) =>
  query
    .selectFrom('mailboxes')
    .selectAll()
    .where('id', '=', param('mailbox'))
    .where('account', '=', param('account'))
    .where('name', 'is not', null),
)
const mailboxWithName = statement<Tables, MailboxNamed, MailboxRow>((query, param) =>
  query.selectFrom('mailboxes').selectAll().where('account', '=', param('account')).where('name', '=', param('name')),
)
const writeCounts = statement<Tables, MailboxRow>((query, param) =>
  query
    .updateTable('mailboxes')
    .set({
      uid_next: param('uid_next'),
      highest_modseq: param('highest_modseq'),
      recent_from: param('recent_from'),
      messages: param('messages'),
      unseen: param('unseen'),
      deleted: param('deleted'),
      size: param('size'),
    })
    .where('id', '=', param('id')),
)
const addUse = statement<Tables, { account: string; bytes: number; messages: number }>((query, param) =>
  query
    .updateTable('accounts')
    .set((row) => ({
      used_bytes: row('used_bytes', '+', param('bytes')),
      messages: row('messages', '+', param('messages')),
    }))
    .where('account', '=', param('account')),
)
const readUse = statement<Tables, { account: string }, { used_bytes: number }>((query, param) =>
  query.selectFrom('accounts').select('used_bytes').where('account', '=', param('account')),
)

export function findMailbox(db: Reader<Tables>, { account, mailbox }: MailboxOf): Promise<MailboxRow | undefined> {
  return db.first(mailboxWithNumber(db), { account, mailbox })
}

/** @throws Refused noSuchMailbox */
export async function mailboxByNumber(tx: Tx, mailbox: MailboxOf): Promise<MailboxRow> {
  const row = await findMailbox(tx, mailbox)
  if (row === undefined) throw new Refused('noSuchMailbox', `no mailbox ${mailbox.mailbox}`)
  return row
}

export function mailboxByName(db: Reader<Tables>, { account, name }: MailboxNamed): Promise<MailboxRow | undefined> {
  return db.first(mailboxWithName(db), { account, name })
}

/** Writes back what an operation counted. */
export async function saveMailbox(tx: Tx, row: MailboxRow): Promise<MailboxChange> {
  await tx.run(writeCounts(tx), row)
  const { account, id, highest_modseq: highestModseq, uid_next: uidNext } = row
  // The column holds what was an AccountId when it was written.
  return { account: account as AccountId, mailbox: id, highestModseq, uidNext }
}

export async function spend(tx: Tx, account: string, bytes: number, messages: number): Promise<void> {
  if (bytes === 0 && messages === 0) return
  await tx.run(addUse(tx), { account, bytes, messages })
}

export async function usedBytes(tx: Tx, account: string): Promise<number> {
  return (await tx.first(readUse(tx), { account }))?.used_bytes ?? 0
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
