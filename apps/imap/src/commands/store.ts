/** STORE and UID STORE — RFC 9051 §6.4.6, RFC 7162 §3.1.3 (UNCHANGEDSINCE). */
import { storeFlags } from '@postbus/contracts'
import {
  ImapSyntaxError,
  NumberSet,
  parseStoreFlags,
  parseUnchangedSince,
  type Arguments,
  type SequenceSet,
} from '@postbus/imap-wire'

import { inMailbox, type Completed, type InMailbox } from '../command.ts'
import { no, readOnly, refusingRows } from '../reply.ts'
import { enableCondstore } from '../session/condstore.ts'
import { tellMessage, tellNewKeywords } from '../session/updates.ts'

const MODES = { '+FLAGS': 'add', '-FLAGS': 'remove', FLAGS: 'replace' } as const
const ITEM = /[+-]?[A-Za-z.]+/y

interface StoreArguments {
  set: SequenceSet
  unchangedSince: number | undefined
  mode: 'add' | 'remove' | 'replace'
  silent: boolean
  flags: string[]
}

export const store = inMailbox({
  name: 'STORE',
  updates: 'steady',
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
  const unchangedSince = parseUnchangedSince(args.space())
  const item = args.pattern(ITEM, 'FLAGS, +FLAGS or -FLAGS').toUpperCase()
  const silent = item.endsWith('.SILENT')
  const name = silent ? item.slice(0, -'.SILENT'.length) : item
  if (name !== 'FLAGS' && name !== '+FLAGS' && name !== '-FLAGS')
    throw new ImapSyntaxError(`${item} is not an item that can be stored`)
  return { set, unchangedSince, mode: MODES[name], silent, flags: parseStoreFlags(args.space()) }
}

async function run(
  { session, account, selected }: InMailbox,
  { set, unchangedSince, mode, silent, flags }: StoreArguments,
  byUid: boolean,
): Promise<Completed> {
  if (selected.readOnly) throw readOnly()
  const { out, enabled } = session
  const { mailbox } = selected
  const uids = selected.resolve(set, byUid)
  if (unchangedSince !== undefined) enableCondstore(session)
  const wanted = uids.intersect(selected.uids)
  if (wanted.isEmpty) return { text: 'STORE completed' }
  const stored: number[] = []
  let modified = NumberSet.empty
  const change = { mailbox, mode, flags, ...(unchangedSince !== undefined && { unchangedSince }) }
  const rows = account.rows(storeFlags, (token) => ({ token, ...change, uids: uids.toString() }))
  for await (const { row } of refusingRows(rows, { limit: () => no('LIMIT', 'Too many keywords in this mailbox') })) {
    if (row.kind === 'conflict') {
      modified = modified.union(NumberSet.parse(row.uids).intersect(wanted))
      continue
    }
    stored.push(row.uid)
    if (selected.sequenceNumber(row.uid) === undefined) continue
    // Nobody answers a silent STORE, so what somebody else did to the message before is still to be told.
    if (!silent || selected.knows(row.uid, row.previousModseq ?? 0)) selected.tell(row.uid, row.modseq)
    const { uid, modseq } = row
    if (!silent) tellMessage(selected, out, row, { byUid })
    // RFC 7162 §3.1.3: the client has to know the new MODSEQ, silent or not.
    else if (enabled.has('CONDSTORE') && modseq !== row.previousModseq)
      tellMessage(selected, out, { uid, modseq }, { byUid })
    if (out.full) await out.room()
  }
  // Others are announced with the flags that are told.
  if (silent && mode !== 'remove' && stored.length > 0) tellNewKeywords(selected, out, flags)
  // Somebody removed what the client still counts — RFC 5530 §3.
  const gone = !wanted.subtract(NumberSet.from(stored)).subtract(modified).isEmpty
  if (gone) selected.mayHaveChanged()
  if (modified.isEmpty)
    return gone ? { code: 'EXPUNGEISSUED', text: 'Some messages are gone' } : { text: 'STORE completed' }
  const code = `MODIFIED ${selected.numbered(modified, byUid)}`
  if (gone) throw no(code, 'Some messages are gone')
  return { code, text: 'Conditional STORE failed' }
}
