/**
 * What a client missed since it last knew a mailbox: who vanished, whose flags changed — RFC 7162 §3.2.5 (QRESYNC), §3.2.6.
 *
 * The mailbox may have changed again since it was opened. What vanished after that is in the client's view of it, and told
 * like other changes, but at once: with the mod-sequence of something newer its client would never ask for it again.
 */
import { syncMailbox } from '@postbus/contracts'
import { NumberSet, type KnownState } from '@postbus/imap-wire'

import type { Output } from '../output.ts'
import type { Account } from './account.ts'
import type { SelectedMailbox } from './selected-mailbox.ts'
import { tellExpunged, tellMessage, tellVanished } from './updates.ts'

interface Context {
  account: Account
  selected: SelectedMailbox
  session: { out: Output }
}

/** All VANISHED (EARLIER) go before the first FETCH. Throws as `Account.rows` does. */
export async function resynchronise(context: Context, { modseq, uids }: KnownState): Promise<void> {
  const { selected, session } = context
  const { out } = session
  let goneSince = NumberSet.empty
  for await (const row of changesSince(context, modseq)) {
    if (row.kind === 'vanished') {
      goneSince = goneSince.union(NumberSet.parse(row.uids).intersect(selected.uids))
      await tellVanished(out, 'VANISHED (EARLIER)', gone(selected, row.uids, uids))
    }
    if (row.kind !== 'message' || !selected.uids.has(row.uid) || uids?.has(row.uid) === false) continue
    tellMessage(selected, out, row, { byUid: true })
    selected.tell(row.uid, row.modseq)
    if (out.full) await out.room()
  }
  await tellExpunged(selected, out, goneSince)
}

/** Throws as `Account.rows` does. */
export async function tellVanishedEarlier(context: Context, modseq: number, uids: NumberSet): Promise<void> {
  const { selected, session } = context
  for await (const row of changesSince(context, modseq)) {
    if (row.kind !== 'vanished') return
    await tellVanished(session.out, 'VANISHED (EARLIER)', gone(selected, row.uids, uids))
  }
}

async function* changesSince({ account, selected }: Context, modseq: number) {
  const { mailbox } = selected
  const rows = account.rows(syncMailbox, (token) => ({ token, mailbox, modseq }))
  for await (const { row } of rows) yield row
}

/** Those not in the client's view, and once in the mailbox as it was opened. */
function gone(selected: SelectedMailbox, vanished: string, among: NumberSet | undefined): NumberSet {
  const uids = NumberSet.parse(vanished)
    .within(1, selected.uidNext - 1)
    .subtract(selected.uids)
  return among ? uids.intersect(among) : uids
}
