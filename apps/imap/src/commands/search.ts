/** SEARCH and UID SEARCH — RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5–6, RFC 9394. */
import type { SearchKey } from '@postbus/contracts'
import { NumberSet, parseSearch, type Arguments, type Search, type SearchReturn } from '@postbus/imap-wire'

import { inMailbox, type Completed, type InMailbox } from '../command.ts'
import { bad, ImapError, no, refusing } from '../reply.ts'
import { enableCondstore } from '../session/condstore.ts'
import { findUids } from '../session/find-messages.ts'
import { isTold, narrowed, writeEsearch, writeSearch } from '../session/search-answer.ts'
import { namesModseq, searchKey } from '../session/search-key.ts'

const parse = (args: Arguments): Search => parseSearch(args.space())

export const search = inMailbox({
  name: 'SEARCH',
  updates: 'steady',
  parse,
  run: (context, program) => run(context, program, false),
})

export const uidSearch = inMailbox({
  name: 'UID SEARCH',
  parse,
  run: (context, program) => run(context, program, true),
})

/** What `$` may hold: so much fits in what is asked of the mailstore at once. */
const MAX_SAVED_RANGES = 32_768

const ALL: SearchReturn = { min: false, max: false, all: true, count: false, save: false }

async function run(context: InMailbox, search: Search, byUid: boolean): Promise<Completed> {
  const { selected, session } = context
  const { out, tag, enabled } = session
  // RFC 9755 §3: everything is UTF-8 now.
  if (search.charset !== undefined && enabled.has('UTF8=ACCEPT')) throw bad('No CHARSET after ENABLE UTF8=ACCEPT')
  // RFC 9051 Appendix E: the SEARCH response is gone.
  const options = search.return ?? (enabled.has('IMAP4rev2') ? ALL : undefined)
  const { found, modseq } = await saving(context, search, options)
  const numbers = selected.numbered(found, byUid)
  if (!options) await writeSearch(out, numbers, modseq)
  else if (isTold(options)) await writeEsearch(out, { tag, byUid, options, numbers, modseq })
  return { text: options?.save ? 'SEARCH completed, result saved' : 'SEARCH completed' }
}

interface Result {
  found: NumberSet
  /** 0 when the program names none, or nothing was found. */
  modseq: number
}

/** Runs it and keeps the result where that is asked for; one that is refused leaves nothing in `$` — RFC 5182 §2.1. */
async function saving(context: InMailbox, search: Search, options: SearchReturn | undefined): Promise<Result> {
  if (!options?.save) return find(context, search, options)
  const { selected } = context
  try {
    const result = await find(context, search, options)
    const kept = narrowed(result.found, options) ?? result.found
    // RFC 5182 §2.3
    if (kept.rangeCount > MAX_SAVED_RANGES) throw no('NOTSAVED', 'The result is too scattered to be saved')
    selected.save(kept)
    return result
  } catch (cause) {
    if (cause instanceof ImapError && cause.status === 'NO') selected.save(NumberSet.empty)
    throw cause
  }
}

async function find(context: InMailbox, search: Search, options: SearchReturn | undefined): Promise<Result> {
  const { selected, session } = context
  const key = searchKey(search, selected)
  const modseqs = namesModseq(search.program)
  if (modseqs) enableCondstore(session)
  const { found, highestModseq } = await refusing(findUids(context, key))
  if (!modseqs || found.isEmpty) return { found, modseq: 0 }
  const few = options && narrowed(found, options)
  return { found, modseq: few ? await highestOf(context, few) : highestModseq }
}

/** The highest MODSEQ of a few messages — RFC 4731 §3.2. */
async function highestOf(context: InMailbox, uids: NumberSet): Promise<number> {
  if (uids.isEmpty) return 0
  const keys: SearchKey[] = [
    { kind: 'uids', uids: uids.toString() },
    { kind: 'modseq', modseq: 0 },
  ]
  return (await refusing(findUids(context, { kind: 'and', keys }))).highestModseq
}
