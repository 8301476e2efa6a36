/** THREAD and UID THREAD — RFC 5256 §3. */
import { threadMailbox } from '@postbus/contracts'
import { parseThreadArguments, type Arguments, type Search, type ThreadAlgorithm } from '@postbus/imap-wire'

import { inMailbox, type Completed, type InMailbox } from '../command.ts'
import { refusingRows } from '../reply.ts'
import { knownKey } from '../session/search-key.ts'

interface ThreadArguments {
  algorithm: ThreadAlgorithm
  search: Search
}

const parse = (args: Arguments): ThreadArguments => parseThreadArguments(args.space())

export const thread = inMailbox({
  name: 'THREAD',
  updates: 'steady',
  parse,
  run: (context, args) => run(context, args, false),
})

export const uidThread = inMailbox({
  name: 'UID THREAD',
  parse,
  run: (context, args) => run(context, args, true),
})

async function run(
  { session, account, selected }: InMailbox,
  { algorithm, search }: ThreadArguments,
  byUid: boolean,
): Promise<Completed> {
  const { out } = session
  const { mailbox } = selected
  const key = knownKey(search, selected)
  const rows = account.rows(threadMailbox, (token) => ({ token, mailbox, key, algorithm }))
  /** The client knows every UID here: nothing that came later was looked at. */
  const numbered = (uid: string): string => String(selected.sequenceNumber(Number(uid)) ?? uid)
  let begun = false
  try {
    for await (const { row } of refusingRows(rows)) {
      if (!begun) out.write('* THREAD ')
      begun = true
      out.write(byUid ? row.threads : row.threads.replaceAll(/[0-9]+/g, numbered))
      if (out.full) await out.room()
    }
  } finally {
    // Also when the rest does not come: NO stands on a line of its own.
    if (begun) out.write('\r\n')
  }
  if (!begun) out.write('* THREAD\r\n')
  return { text: 'THREAD completed' }
}
