/**
 * COPY and MOVE: all or nothing, new UIDs ascending in the order of the old ones — RFC 9051 §6.4.7, RFC 6851 §3.3.
 * The copies show the same emails; no bytes are copied.
 */
import { sql } from 'kysely'

import { DELETED, foldKeyword, SEEN } from '../../../mailbox/flags.ts'
import { formatUidSet, rangesOf } from '../../../mailbox/uid-ranges.ts'
import { Refused, type StorageLimits, type WriteContext, type WriteOperation } from '../operation.ts'
import { keywordsOf, messagesIn, NO_LIMIT } from '../rows.ts'
import {
  internKeywords,
  mailboxByName,
  mailboxByNumber,
  type MailboxRow,
  saveMailbox,
  spend,
  usedBytes,
} from '../tables.ts'
import { isOneOf, pairsOf } from '../dialect.ts'
import type { Tables } from '../schema.ts'
import { countShown, type Going, takeAway } from './expunge.ts'

export function copy(limits: StorageLimits): WriteOperation<'copy'> {
  return async (context, { account, mailbox, uids, to, move, atLeast = 0, at, quotaBytes }) => {
    const { tx } = context
    const source = await mailboxByNumber(tx, { account, mailbox })
    const found = await mailboxByName(tx, { account, name: to })
    if (found === undefined) throw new Refused('noSuchTarget', `no mailbox ${to}`)
    // Into itself: one row, counted once.
    const target = found.id === source.id ? source : found

    const { rows } = await messagesIn(tx, source.id, uids, NO_LIMIT, ['uid', 'flags', 'size', 'email'])
    const from = rangesOf(rows.map(({ uid }) => uid))
    if (rows.length < atLeast) throw new Refused('noSuchMessage', `of ${atLeast} messages ${rows.length} are there`)
    const named = formatUidSet(from).length
    if (named > limits.maxCopiedLength) throw new Refused('limit', `the UIDs copied take ${named} characters`)
    if (rows.length === 0) return { uidValidity: target.uid_validity, from: [], to: [] }
    const size = rows.reduce((sum, row) => sum + row.size, 0)
    // A move needs no more room than there was.
    if (!move && quotaBytes !== null && (await usedBytes(tx, account)) + size > quotaBytes) {
      throw new Refused('overQuota', `${size} octets more are over the quota of ${quotaBytes}`)
    }

    const base = target.uid_next - 1
    target.uid_next += rows.length
    target.highest_modseq++
    await copyRows(context, source, target, rows, base, at)
    await copyKeywords(context, source, target, rows, base, limits)
    target.messages += rows.length
    target.size += size
    for (const { flags } of rows) {
      if ((flags & SEEN) === 0) target.unseen++
      if (flags & DELETED) target.deleted++
    }
    context.changed(await saveMailbox(tx, target))
    await spend(tx, account, size, rows.length)
    if (move) await takeAway(context, source, rows)
    return { uidValidity: target.uid_validity, from, to: [[base + 1, base + rows.length]] }
  }
}

type Row = Going

async function copyRows(
  { tx }: WriteContext,
  source: MailboxRow,
  target: MailboxRow,
  rows: readonly Row[],
  base: number,
  at: number,
): Promise<void> {
  const uids = rows.map(({ uid }) => uid)
  await tx.query
    .insertInto('messages')
    .columns(['mailbox', 'uid', 'modseq', 'flags', 'internal_date', 'save_date', 'size', 'email'])
    .expression((of) =>
      of
        .selectFrom('messages')
        .select((row) => [
          row.val(target.id).as('mailbox'),
          sql<number>`${base} + row_number() over (order by uid)`.as('uid'),
          row.val(target.highest_modseq).as('modseq'),
          'flags',
          'internal_date',
          row.val(at).as('save_date'),
          'size',
          'email',
        ])
        .where('mailbox', '=', source.id)
        .where(isOneOf(tx, 'uid', uids)),
    )
    .execute()
  await countShown(tx, rows, 1)
}

async function copyKeywords(
  { tx }: WriteContext,
  source: MailboxRow,
  target: MailboxRow,
  rows: readonly Row[],
  base: number,
  { maxKeywordsPerMailbox }: StorageLimits,
): Promise<void> {
  const { ids, names } = await keywordsOf(tx, source.id, rows)
  if (ids.size === 0) return
  const used = new Set(rows.flatMap(({ uid }) => ids.get(uid) ?? []).flatMap((number) => names.get(number) ?? []))
  const numberOf = await internKeywords(tx, target.id, [...used], maxKeywordsPerMailbox)
  const pairs = rows.flatMap(({ uid }, index) =>
    (ids.get(uid) ?? []).map(
      (number) => [base + index + 1, numberOf.get(foldKeyword(names.get(number) ?? '')) ?? 0] as const,
    ),
  )
  await tx.query
    .insertInto('message_keywords')
    .columns(['mailbox', 'uid', 'keyword'])
    .expression(
      sql<Tables['message_keywords']>`
        select cast(${target.id} as bigint), uid, keyword from ${pairsOf(tx, ['uid', 'keyword'], pairs)} pair`,
    )
    .execute()
}
