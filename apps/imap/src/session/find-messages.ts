/** Asks the mailstore which messages match: those the client knows, as of its view of the mailbox. */
import { searchMailbox, type SearchKey } from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'

import type { Account } from './account.ts'
import type { SelectedMailbox } from './selected-mailbox.ts'

export interface Found {
  /** UIDs. */
  found: NumberSet
  /** Of those found, when the program names a MODSEQ; else 0. */
  highestModseq: number
}

interface InMailbox {
  account: Account
  selected: SelectedMailbox
}

/** Throws as `Account.rows` does. */
export async function findUids({ account, selected }: InMailbox, key: SearchKey): Promise<Found> {
  const { mailbox } = selected
  const { first, last } = selected.uids
  // Messages the client has not been told of do not exist for it yet.
  if (first === undefined || last === undefined) return { found: NumberSet.empty, highestModseq: 0 }
  const known: SearchKey = { kind: 'and', keys: [{ kind: 'uids', uids: `${first}:${last}` }, key] }
  const ranges: (readonly [number, number])[] = []
  let highestModseq = 0
  for await (const { row } of account.rows(searchMailbox, (token) => ({ token, mailbox, key: known }))) {
    ranges.push(...NumberSet.parse(row.uids).ranges())
    highestModseq = Math.max(highestModseq, row.highestModseq ?? 0)
  }
  return { found: NumberSet.fromRanges(ranges).intersect(selected.uids), highestModseq }
}
