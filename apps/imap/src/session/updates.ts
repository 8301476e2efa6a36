/**
 * What happened in the selected mailbox, told to the client: EXPUNGE, FETCH FLAGS, EXISTS, RECENT.
 *
 * Whoever calls this knows that the client may be told now: never between the sequence numbers of a FETCH, STORE or SEARCH
 * and their answer — RFC 9051 §5.2, §7.5.1. A look that fails in the middle has told only what is true; the next one
 * begins at the same MODSEQ and goes on.
 */
import { RequestRefused } from '@postbus/bus'
import { syncMailbox } from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'

import { SessionEnded, unavailable } from '../reply.ts'
import type { Output } from '../output.ts'
import type { Account } from './account.ts'
import type { SelectedMailbox } from './selected-mailbox.ts'

export interface UpdateTarget {
  account: Account
  selected: SelectedMailbox
  out: Output
}

/** @throws ImapError when the mailstore cannot be asked; SessionEnded when the mailbox is gone */
export async function tellUpdates({ account, selected, out }: UpdateTarget): Promise<void> {
  selected.beginLook()
  const arrived: number[] = []
  try {
    const rows = account.rows(syncMailbox, (token) => ({
      token,
      mailbox: selected.mailbox,
      modseq: selected.modseq,
      claimRecent: !selected.readOnly,
    }))
    for await (const { row } of rows) {
      switch (row.kind) {
        case 'vanished':
          await tellExpunged(selected, out, NumberSet.parse(row.uids))
          break
        case 'message':
          if (selected.uids.has(row.uid)) tellFlags(selected, out, row)
          // UIDs only grow: one below the last that is not known has been told to be gone.
          else if (row.uid > (selected.uids.last ?? 0)) arrived.push(row.uid)
          break
        case 'now':
          tellArrivals(selected, out, NumberSet.from(arrived), row.recentFrom)
          selected.lookedUpTo(row.highestModseq, row.uidNext)
          break
      }
      if (out.full) await out.room()
    }
  } catch (cause) {
    selected.lookAgain()
    if (!(cause instanceof RequestRefused)) throw cause
    // RFC 2180 §3.3: who has a deleted mailbox open is disconnected; there is nothing left to number.
    if (cause.code === 'noSuchMailbox')
      throw new SessionEnded('NONEXISTENT', 'The selected mailbox was deleted', { cause })
    throw unavailable(cause)
  }
}

export async function tellExpunged(selected: SelectedMailbox, out: Output, vanished: NumberSet): Promise<void> {
  for (const number of selected.expunge(vanished)) {
    out.line(`* ${number} EXPUNGE`)
    if (out.full) await out.room()
  }
}

function tellArrivals(selected: SelectedMailbox, out: Output, arrived: NumberSet, recentFrom: number): void {
  if (arrived.isEmpty) return
  selected.arrive(arrived, recentFrom)
  out.line(`* ${selected.uids.size} EXISTS`)
  out.line(`* ${selected.recent.size} RECENT`)
}

interface FlagsOfMessage {
  uid: number
  modseq: number
  flags: string[]
}

function tellFlags(selected: SelectedMailbox, out: Output, { uid, modseq, flags }: FlagsOfMessage): void {
  if (selected.knows(uid, modseq)) return
  tellNewKeywords(selected, out, flags)
  out.line(`* ${selected.uids.rank(uid)} FETCH (FLAGS ${formatFlags(selected, uid, flags)})`)
}

/** A keyword that is new here is announced before it is used — RFC 9051 §7.3.5. */
export function tellNewKeywords(selected: SelectedMailbox, out: Output, flags: readonly string[]): void {
  if (selected.learn(flags)) tellFlagsInUse(selected, out)
}

export function tellFlagsInUse(selected: SelectedMailbox, out: Output): void {
  const flags = selected.flags.join(' ')
  out.line(`* FLAGS (${flags})`)
  // A client may make keywords of its own: \* — RFC 9051 §7.1 (PERMANENTFLAGS).
  const permanent = selected.readOnly ? '' : `${flags} \\*`
  out.line(`* OK [PERMANENTFLAGS (${permanent})] Flags that are kept`)
}

export function formatFlags(selected: SelectedMailbox, uid: number, flags: readonly string[]): string {
  return `(${(selected.recent.has(uid) ? [...flags, '\\Recent'] : flags).join(' ')})`
}
