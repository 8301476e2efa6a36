/** SORT and UID SORT — RFC 5256 §3. */
import { sortMailbox, type SortCriterion } from '@postbus/contracts'
import { parseSortArguments, type Arguments, type Search } from '@postbus/imap-wire'

import { inMailbox, type Completed, type InMailbox } from '../command.ts'
import { refusingRows } from '../reply.ts'
import { knownKey } from '../session/search-key.ts'

interface SortArguments {
  criteria: SortCriterion[]
  search: Search
}

const parse = (args: Arguments): SortArguments => parseSortArguments(args.space())

export const sort = inMailbox({
  name: 'SORT',
  updates: 'steady',
  parse,
  run: (context, args) => run(context, args, false),
})

export const uidSort = inMailbox({
  name: 'UID SORT',
  parse,
  run: (context, args) => run(context, args, true),
})

async function run(
  { session, account, selected }: InMailbox,
  { criteria, search }: SortArguments,
  byUid: boolean,
): Promise<Completed> {
  const { out } = session
  const { mailbox } = selected
  const key = knownKey(search, selected)
  const rows = account.rows(sortMailbox, (token) => ({ token, mailbox, key, criteria }))
  let begun = false
  let end = '\r\n'
  try {
    for await (const { row } of refusingRows(rows)) {
      if (!begun) out.write('* SORT')
      begun = true
      // RFC 7162 §3.1.6: of what was found, when the program names a MODSEQ.
      if (row.highestModseq !== undefined) end = ` (MODSEQ ${row.highestModseq})\r\n`
      for (const uid of row.uids) {
        const number = byUid ? uid : selected.sequenceNumber(uid)
        if (number !== undefined) out.write(` ${number}`)
        if (out.full) await out.room()
      }
    }
  } finally {
    // Also when the rest does not come: NO stands on a line of its own.
    if (begun) out.write(end)
  }
  if (!begun) out.write('* SORT\r\n')
  return { text: 'SORT completed' }
}
