/** STORE and UID STORE — RFC 9051 §6.4.6. */
import { storeFlags } from '@postbus/contracts'
import { ImapSyntaxError, NumberSet, parseStoreFlags, type Arguments, type SequenceSet } from '@postbus/imap-wire'

import { inMailbox, type Completed, type InMailbox } from '../command.ts'
import { no, readOnly, refusingRows } from '../reply.ts'
import { formatFlags, tellNewKeywords } from '../session/updates.ts'

const MODES = { '+FLAGS': 'add', '-FLAGS': 'remove', FLAGS: 'replace' } as const
const ITEM = /[+-]?[A-Za-z.]+/y

interface StoreArguments {
  set: SequenceSet
  mode: 'add' | 'remove' | 'replace'
  silent: boolean
  flags: string[]
}

export const store = inMailbox({
  name: 'STORE',
  updates: 'none',
  parse,
  run: (context, args) => run(context, args, false),
})

export const uidStore = inMailbox({
  name: 'UID STORE',
  parse,
  run: (context, args) => run(context, args, true),
})

function parse(args: Arguments): StoreArguments {
  const set = args.space().sequenceSet()
  const item = args.space().pattern(ITEM, 'FLAGS, +FLAGS or -FLAGS').toUpperCase()
  const silent = item.endsWith('.SILENT')
  const name = silent ? item.slice(0, -'.SILENT'.length) : item
  if (name !== 'FLAGS' && name !== '+FLAGS' && name !== '-FLAGS')
    throw new ImapSyntaxError(`${item} is not an item that can be stored`)
  return { set, mode: MODES[name], silent, flags: parseStoreFlags(args.space()) }
}

async function run(
  { session, account, selected }: InMailbox,
  { set, mode, silent, flags }: StoreArguments,
  byUid: boolean,
): Promise<Completed> {
  if (selected.readOnly) throw readOnly()
  const { out } = session
  const { mailbox } = selected
  const uids = selected.resolve(set, byUid)
  const wanted = uids.intersect(selected.uids)
  if (wanted.isEmpty) return { text: 'STORE completed' }
  const stored: number[] = []
  const rows = account.rows(storeFlags, (token) => ({ token, mailbox, uids: uids.toString(), mode, flags }))
  for await (const { row } of refusingRows(rows, { limit: () => no('LIMIT', 'Too many keywords in this mailbox') })) {
    if (row.kind !== 'stored') continue
    stored.push(row.uid)
    const number = selected.sequenceNumber(row.uid)
    if (number === undefined) continue
    // Nobody answers a silent STORE, so what somebody else did to the message before is still to be told.
    if (!silent || selected.knows(row.uid, row.previousModseq ?? 0)) selected.tell(row.uid, row.modseq)
    if (silent) continue
    tellNewKeywords(selected, out, row.flags)
    const uid = byUid ? `UID ${row.uid} ` : ''
    out.line(`* ${number} FETCH (${uid}FLAGS ${formatFlags(selected, row.uid, row.flags)})`)
    if (out.full) await out.room()
  }
  // Somebody removed what the client still counts — RFC 5530 §3.
  const gone = !wanted.subtract(NumberSet.from(stored)).isEmpty
  if (gone) selected.mayHaveChanged()
  return gone ? { code: 'EXPUNGEISSUED', text: 'Some messages are gone' } : { text: 'STORE completed' }
}
