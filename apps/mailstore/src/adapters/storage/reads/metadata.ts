/** Annotations of a mailbox or an account — RFC 5464. */
import { type Expression, type ExpressionBuilder, type SqlBool } from 'kysely'

import type { ReadOperation } from '../operation.ts'
import type { Tables } from '../schema.ts'
import { mailboxByName } from '../tables.ts'

/** The mailbox number under which annotations of the account as a whole are kept. */
export const OF_ACCOUNT = 0

export const metadata: ReadOperation<'metadata'> = async (db, { account, name, entries, depth }) => {
  const mailbox = name === null ? OF_ACCOUNT : (await mailboxByName(db, { account, name }))?.id
  if (mailbox === undefined) return null
  const rows = await db.query
    .selectFrom('metadata')
    .select(['entry', 'value'])
    .where('account', '=', account)
    .where('mailbox', '=', mailbox)
    .where((of) => of.or(entries.map((entry) => (depth === '0' ? of('entry', '=', entry) : atOrBelow(of, entry)))))
    .orderBy('entry')
    .execute()
  if (depth !== '1') return rows
  return rows.filter(({ entry }) => entries.some((above) => entry === above || isChild(entry, above)))
}

/** A range of names instead of LIKE: no character of a name means anything here. */
function atOrBelow(of: ExpressionBuilder<Tables, 'metadata'>, entry: string): Expression<SqlBool> {
  // '0' is the character after '/'.
  return of.or([of('entry', '=', entry), of.and([of('entry', '>', `${entry}/`), of('entry', '<', `${entry}0`)])])
}

const isChild = (entry: string, above: string): boolean =>
  entry.startsWith(`${above}/`) && !entry.includes('/', above.length + 1)
