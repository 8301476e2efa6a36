/** FETCH and UID FETCH — RFC 9051 §6.4.5. */
import { fetchMessages } from '@postbus/contracts'
import { parseFetchItems, type Arguments, type FetchItem, type SequenceSet } from '@postbus/imap-wire'

import { inMailbox, type Completed, type InMailbox } from '../command.ts'
import { no, refusingRows } from '../reply.ts'
import { fetchPlan, isUnreadable, writeRow } from '../session/fetch-plan.ts'
import { formatFlags, tellNewKeywords } from '../session/updates.ts'
import { writeFetch, writePlainFetch } from '../session/write-fetch.ts'

interface FetchArguments {
  set: SequenceSet
  items: FetchItem[]
}

const parse = (args: Arguments): FetchArguments => ({
  set: args.space().sequenceSet(),
  items: parseFetchItems(args.space()),
})

export const fetch = inMailbox({
  name: 'FETCH',
  updates: 'none',
  parse,
  run: (context, args) => run(context, args, false),
})

export const uidFetch = inMailbox({
  name: 'UID FETCH',
  parse,
  run: (context, args) => run(context, args, true),
})

async function run(
  { session, account, selected }: InMailbox,
  { set, items }: FetchArguments,
  byUid: boolean,
): Promise<Completed> {
  const { out } = session
  const { mailbox } = selected
  const uids = selected.resolve(set, byUid)
  const wanted = uids.intersect(selected.uids).size
  if (wanted === 0) return { text: 'FETCH completed' }
  const plan = fetchPlan(items, byUid)
  const markSeen = plan.marksSeen && !selected.readOnly
  const { want } = plan
  let answered = 0
  let unreadable = 0
  const rows = account.rows(fetchMessages, (token) => ({ token, mailbox, uids: uids.toString(), want, markSeen }))
  for await (const { row, bytes } of refusingRows(rows)) {
    const number = selected.sequenceNumber(row.uid)
    if (number === undefined) continue
    answered++
    if (isUnreadable(row)) {
      unreadable++
      continue
    }
    if (row.flags) {
      tellNewKeywords(selected, out, row.flags)
      selected.tell(row.uid, row.modseq)
    }
    const flags = (flags: readonly string[]): string => formatFlags(selected, row.uid, flags)
    const parts = [...writeRow(plan, row, bytes, flags)]
    if (parts.some(({ content }) => content)) await writeFetch(out, session.ports.blobs, number, parts)
    else writePlainFetch(out, number, parts)
    if (out.full) await out.room()
  }
  if (unreadable > 0) throw no('UNKNOWN-CTE', 'A part has an unknown Content-Transfer-Encoding') // RFC 3516 §4.2
  if (answered === wanted) return { text: 'FETCH completed' }
  // Somebody removed what the client still counts — RFC 5530 §3.
  selected.mayHaveChanged()
  return { code: 'EXPUNGEISSUED', text: 'Some messages are gone' }
}
