/** Mailboxes come, go and change their names. */
import { isBelow, normalizeName, SEPARATOR, superiors } from '../../../mailbox/names.ts'
import type { MailboxNamed } from '../../../mailbox/storage.ts'
import { infoOf } from '../info.ts'
import { Refused, type StorageLimits, type WriteContext, type WriteOperation } from '../operation.ts'
import { mailboxByName, mailboxByNumber, spend } from '../tables.ts'
import { emptyMailbox, takeUidValidity } from './accounts.ts'

export function create(limits: StorageLimits): WriteOperation<'create'> {
  return async (context, { account, name, specialUse }) => {
    if (await mailboxByName(context.tx, { account, name })) throw new Refused('exists', `${name} exists`)
    await createLevels(context, { account, name }, limits, specialUse.join(' '))
    const row = await mailboxByName(context.tx, { account, name })
    if (row === undefined) throw new Error(`${name} was created and is not there`)
    context.changed({ account, mailbox: row.id, highestModseq: row.highest_modseq, uidNext: row.uid_next })
    return infoOf(context.tx, row)
  }
}

/** The mailbox, and the levels above it that have none — RFC 9051 §6.3.4. */
export async function createLevels(
  context: WriteContext,
  { account, name }: MailboxNamed,
  { maxMailboxes }: StorageLimits,
  specialUse: string,
): Promise<void> {
  const { query } = context.tx
  const wanted = [...superiors(name), name]
  const there = await query
    .selectFrom('mailboxes')
    .select('name')
    .where('account', '=', account)
    .where('name', 'in', wanted)
    .execute()
  const present = new Set(there.map((row) => row.name))
  const missing = wanted.filter((level) => !present.has(level))
  const { count } = await query
    .selectFrom('mailboxes')
    .select((of) => of.fn.countAll<number>().as('count'))
    .where('account', '=', account)
    .where('name', 'is not', null)
    .executeTakeFirstOrThrow()
  if (count + missing.length > maxMailboxes) {
    throw new Refused('limit', `an account has at most ${maxMailboxes} mailboxes`)
  }
  for (const level of missing) {
    const uidValidity = await takeUidValidity(context, account)
    const use = level === name ? specialUse : ''
    await query
      .insertInto('mailboxes')
      .values(emptyMailbox(account, level, uidValidity, use))
      .execute()
  }
}

/**
 * Only the name goes now, and what it held is given back to the quota; `purge` takes the messages away bit by bit. Those
 * below stay: RFC 9051 §6.3.5 MUST NOT remove them. Its subscription stays as well — RFC 9051 §6.3.7.
 */
export const remove: WriteOperation<'remove'> = async ({ tx, changed }, { account, name }) => {
  const row = await mailboxByName(tx, { account, name })
  if (row === undefined) {
    // RFC 9051 §6.3.5: a name that is only a level above others cannot be deleted.
    if (await hasInferiors(tx.query, account, name)) throw new Refused('hasChildren', `${name} has mailboxes below it`)
    throw new Refused('noSuchMailbox', `no mailbox ${name}`)
  }
  await tx.query.updateTable('mailboxes').set({ name: null }).where('id', '=', row.id).execute()
  // RFC 5464 §5.1: its annotations go with it.
  await tx.query.deleteFrom('metadata').where('account', '=', account).where('mailbox', '=', row.id).execute()
  await tx.query.insertInto('removed_mailboxes').values({ mailbox: row.id, name, at: Date.now() }).execute()
  await spend(tx, account, -row.size, -row.messages)
  // Newer than anything that is known of it: whoever has it open looks, and sees that it is gone.
  changed({ account, mailbox: row.id, highestModseq: row.highest_modseq + 1, uidNext: row.uid_next })
  return row.id
}

/** Names only: renaming INBOX is another thing (see rename.ts). */
export async function renameTree(
  context: WriteContext,
  { account, from, to }: { account: MailboxNamed['account']; from: string; to: string },
  limits: StorageLimits,
): Promise<void> {
  const { query } = context.tx
  const all = await query
    .selectFrom('mailboxes')
    .select(['id', 'name', 'highest_modseq', 'uid_next'])
    .where('account', '=', account)
    .where('name', 'is not', null)
    .execute()
  const moving = all.filter(({ name }) => name !== null && (name === from || isBelow(name, from)))
  if (moving.length === 0) throw new Refused('noSuchMailbox', `no mailbox ${from}`)
  const staying = new Set(all.map(({ name }) => name))
  for (const { name } of moving) staying.delete(name)
  const renamed = (name: string | null) => to + (name ?? '').slice(from.length)
  const taken = moving.find(({ name }) => staying.has(renamed(name)))
  if (to === from || taken !== undefined || staying.has(to))
    throw new Refused('exists', `${renamed(taken?.name ?? from)} exists`)

  if (moving.some(({ name }) => normalizeName(renamed(name)) === null)) {
    throw new Refused('limit', `a mailbox below ${from} would have too long a name`)
  }

  const parent = superiors(to).at(-1)
  if (parent !== undefined) await createLevels(context, { account, name: parent }, limits, '')
  for (const { id, name, highest_modseq: highestModseq, uid_next: uidNext } of moving) {
    await query
      .updateTable('mailboxes')
      .set({ name: renamed(name) })
      .where('id', '=', id)
      .execute()
    context.changed({ account, mailbox: id, highestModseq, uidNext })
  }
}

export function subscribe({ maxSubscriptions }: StorageLimits): WriteOperation<'subscribe'> {
  return async ({ tx: { query } }, { account, name, subscribed }) => {
    if (!subscribed) {
      await query.deleteFrom('subscriptions').where('account', '=', account).where('name', '=', name).execute()
      return null
    }
    const { count } = await query
      .selectFrom('subscriptions')
      .select((of) => of.fn.countAll<number>().as('count'))
      .where('account', '=', account)
      .executeTakeFirstOrThrow()
    if (count >= maxSubscriptions)
      throw new Refused('limit', `an account has at most ${maxSubscriptions} subscriptions`)
    await query
      .insertInto('subscriptions')
      .values({ account, name })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    return null
  }
}

export const claimRecent: WriteOperation<'claimRecent'> = async ({ tx }, { below, ...mailbox }) => {
  const row = await mailboxByNumber(tx, mailbox)
  if (row.recent_from < below) {
    await tx.query.updateTable('mailboxes').set({ recent_from: below }).where('id', '=', row.id).execute()
  }
  return row.recent_from
}

async function hasInferiors(query: WriteContext['tx']['query'], account: string, name: string): Promise<boolean> {
  // A range of names instead of LIKE: no character of a name means anything here.
  const below = await query
    .selectFrom('mailboxes')
    .select('id')
    .where('account', '=', account)
    .where('name', '>', name + SEPARATOR)
    .where('name', '<', name + String.fromCharCode(SEPARATOR.charCodeAt(0) + 1))
    .limit(1)
    .executeTakeFirst()
  return below !== undefined
}
