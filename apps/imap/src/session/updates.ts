/**
 * What happened in the selected mailbox, told to the client: EXPUNGE or VANISHED, FETCH FLAGS, EXISTS, RECENT.
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

/** Octets of one VANISHED response, about — RFC 7162 §4 lets a client read 8192 in a line. */
const MAX_SET_LENGTH = 8000

export interface UpdateTarget {
  account: Account
  selected: SelectedMailbox
  out: Output
  /** Sequence numbers must not move: where messages are gone, nothing is told for now. */
  steadily?: boolean
}

/** @throws ImapError when the mailstore cannot be asked; SessionEnded when the mailbox is gone */
export async function tellUpdates({ account, selected, out, steadily = false }: UpdateTarget): Promise<void> {
  selected.beginLook()
  const recentBefore = selected.recent.size
  let arrived: number[] = []
  let complete = false
  try {
    const rows = account.rows(syncMailbox, (token) => ({
      token,
      mailbox: selected.mailbox,
      modseq: selected.modseq,
      claimRecent: !selected.readOnly,
      untilVanished: steadily,
    }))
    for await (const { row } of rows) {
      switch (row.kind) {
        case 'vanished': {
          // Release 0.1.0 does not end before it.
          if (steadily) return selected.lookAgain()
          const vanished = NumberSet.parse(row.uids)
          // It came on an earlier page and is gone on this one: the client need not hear of it.
          arrived = arrived.filter((uid) => !vanished.has(uid))
          await tellGone(selected, out, vanished)
          break
        }
        case 'message':
          if (selected.uids.has(row.uid)) tellFlags(selected, out, row)
          // UIDs only grow: one below the last that is not known has been told to be gone.
          else if (row.uid > (selected.uids.last ?? 0)) arrived.push(row.uid)
          break
        case 'now':
          if (arrived.length > 0) tellArrivals(selected, out, NumberSet.from(arrived), row.recentFrom)
          else if (selected.recent.size !== recentBefore) tellRecent(selected, out)
          selected.lookedUpTo(row.highestModseq, row.uidNext)
          complete = true
          break
      }
      if (out.full) await out.room()
    }
    if (!complete) selected.lookAgain()
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
  const recentBefore = selected.recent.size
  await tellGone(selected, out, vanished)
  if (selected.recent.size !== recentBefore) tellRecent(selected, out)
}

async function tellGone(selected: SelectedMailbox, out: Output, vanished: NumberSet): Promise<void> {
  const { uids, numbers } = selected.expunge(vanished)
  // RFC 7162 §3.2.10.2
  if (selected.enabled.has('QRESYNC')) return tellVanished(out, 'VANISHED', uids)
  for (const number of numbers) {
    out.line(`* ${number} EXPUNGE`)
    if (out.full) await out.room()
  }
}

/** In lines of bounded length. */
export async function tellVanished(
  out: Output,
  response: 'VANISHED' | 'VANISHED (EARLIER)',
  uids: NumberSet,
): Promise<void> {
  for (const piece of uids.pieces(MAX_SET_LENGTH)) {
    out.line(`* ${response} ${piece}`)
    if (out.full) await out.room()
  }
}

function tellArrivals(selected: SelectedMailbox, out: Output, arrived: NumberSet, recentFrom: number): void {
  selected.arrive(arrived, recentFrom)
  out.line(`* ${selected.uids.size} EXISTS`)
  if (selected.enabled.tellsRecent) tellRecent(selected, out)
}

/** RFC 3501 §7.3.2 */
const tellRecent = (selected: SelectedMailbox, out: Output): void => out.line(`* ${selected.recent.size} RECENT`)

interface FlagsOfMessage {
  uid: number
  modseq: number
  flags: string[]
}

function tellFlags(selected: SelectedMailbox, out: Output, { uid, modseq, flags }: FlagsOfMessage): void {
  if (selected.knows(uid, modseq)) return
  tellMessage(selected, out, { uid, modseq, flags }, { byUid: false })
}

/** A message's new state. @param flags undefined: only its MODSEQ is to be told */
export function tellMessage(
  selected: SelectedMailbox,
  out: Output,
  { uid, modseq, flags }: { uid: number; modseq: number; flags?: string[] | undefined },
  { byUid }: { byUid: boolean },
): void {
  const { enabled } = selected
  if (flags) tellNewKeywords(selected, out, flags)
  const items = [
    // RFC 7162 §3.2.4, RFC 9051 §7.5.2
    ...(byUid || enabled.has('QRESYNC') || enabled.has('IMAP4rev2') ? [`UID ${uid}`] : []),
    ...(flags ? [`FLAGS ${formatFlags(selected, uid, flags)}`] : []),
    // RFC 7162 §3.1
    ...(enabled.has('CONDSTORE') ? [`MODSEQ (${modseq})`] : []),
  ]
  out.line(`* ${selected.uids.rank(uid)} FETCH (${items.join(' ')})`)
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
