/**
 * What changed after a MODSEQ, page by page in the order of change. A message that changes while pages are read comes
 * again on a later one; whoever applies them in order ends with what the last page's moment was.
 */
import { MAX_NUMBER } from '@postbus/imap-wire'
import { sql } from 'kysely'

import { systemFlagNames } from '../../../mailbox/flags.ts'
import { joined, type UidRange } from '../../../mailbox/uid-ranges.ts'
import type { ReadOperation } from '../operation.ts'
import { keywordsOf } from '../rows.ts'
import { findMailbox } from '../tables.ts'

export const sync: ReadOperation<'sync'> = async (db, { modseq, uid, vanishedAfter, limit, ...mailbox }) => {
  const row = await findMailbox(db, mailbox)
  if (row === undefined) return null
  const found = await db.query
    .selectFrom('messages')
    .select(['uid', 'modseq', 'flags'])
    .where('mailbox', '=', row.id)
    .where(sql<boolean>`(modseq, uid) > (${modseq}, ${uid ?? MAX_NUMBER})`)
    .orderBy('modseq')
    .orderBy('uid')
    .limit(limit)
    .execute()
  const runs = await db.query
    .selectFrom('vanished')
    .select(['first_uid', 'last_uid'])
    .where('mailbox', '=', row.id)
    .where('modseq', '>', vanishedAfter)
    .execute()
  const last = found.length === limit ? found.at(-1) : undefined
  const byUid = found.toSorted((a, b) => a.uid - b.uid)
  const { ids, names } = await keywordsOf(db, row.id, byUid)
  return {
    vanished: joined(runs.map(({ first_uid, last_uid }): UidRange => [first_uid, last_uid])),
    messages: byUid.map(({ uid: of, modseq: at, flags }) => ({
      uid: of,
      modseq: at,
      flags: [...systemFlagNames(flags), ...(ids.get(of) ?? []).flatMap((number) => names.get(number) ?? [])],
    })),
    next: last === undefined ? null : { modseq: last.modseq, uid: last.uid },
    highestModseq: row.highest_modseq,
    uidNext: row.uid_next,
    recentFrom: row.recent_from,
  }
}
