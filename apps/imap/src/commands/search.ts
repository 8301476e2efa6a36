/** SEARCH and UID SEARCH — RFC 9051 §6.4.4, RFC 3501 §6.4.4. */
import { searchMailbox } from '@postbus/contracts'
import { NumberSet, parseSearch, type Arguments, type Search } from '@postbus/imap-wire'

import { inMailbox, type Completed, type InMailbox } from '../command.ts'
import { refusing } from '../reply.ts'
import { searchKey } from '../session/search-key.ts'

const parse = (args: Arguments): Search => parseSearch(args.space())

export const search = inMailbox({
  name: 'SEARCH',
  updates: 'none',
  parse,
  run: (context, program) => run(context, program, false),
})

export const uidSearch = inMailbox({
  name: 'UID SEARCH',
  parse,
  run: (context, program) => run(context, program, true),
})

async function run(context: InMailbox, program: Search, byUid: boolean): Promise<Completed> {
  const { selected, session } = context
  const found = await refusing(find(context, program))
  const { out } = session
  out.write('* SEARCH')
  for (const number of selected.numbered(found, byUid)) {
    out.write(` ${number}`)
    if (out.full) await out.room()
  }
  out.write('\r\n')
  return { text: 'SEARCH completed' }
}

async function find({ account, selected }: InMailbox, program: Search): Promise<NumberSet> {
  const { mailbox } = selected
  const key = searchKey(program, selected)
  const ranges: (readonly [number, number])[] = []
  for await (const { row } of account.rows(searchMailbox, (token) => ({ token, mailbox, key })))
    ranges.push(...NumberSet.parse(row.uids).ranges())
  // Messages the client has not been told of do not exist for it yet.
  return NumberSet.fromRanges(ranges).intersect(selected.uids)
}
