/** FETCH and UID FETCH — RFC 9051 §6.4.5, RFC 7162 §3.1.4 and §3.2.6, RFC 9394 §3.3 (PARTIAL). */
import type { FetchedMessage } from '@postbus/contracts'
import {
  NumberSet,
  parseFetchItems,
  parseFetchModifiers,
  partOf,
  type Arguments,
  type FetchItem,
  type FetchModifiers,
  type SequenceSet,
} from '@postbus/imap-wire'

import { inMailbox, type Completed, type InMailbox } from '../command.ts'
import { bad, refusing, refusingRows, type ImapError } from '../reply.ts'
import { enableCondstore } from '../session/condstore.ts'
import type { Enabled } from '../session/enabled.ts'
import { messagesOf } from '../session/fetch-messages.ts'
import {
  fetchPlan,
  type FetchPlan,
  isLasting,
  unreadable,
  writeMessage,
  writeText,
  type FlagsText,
} from '../session/fetch-plan.ts'
import { findUids } from '../session/find-messages.ts'
import { tellVanishedEarlier } from '../session/resynchronise.ts'
import { formatFlags, tellNewKeywords } from '../session/updates.ts'
import { isAtHand, writeAtHand, writeFetch } from '../session/write-fetch.ts'

interface FetchArguments {
  set: SequenceSet
  items: FetchItem[]
  modifiers: FetchModifiers
}

const parse = (args: Arguments): FetchArguments => ({
  set: args.space().sequenceSet(),
  items: parseFetchItems(args.space()),
  modifiers: parseFetchModifiers(args),
})

export const fetch = inMailbox({
  name: 'FETCH',
  updates: 'steady',
  parse,
  run: (context, args) => run(context, args, false),
})

export const uidFetch = inMailbox({
  name: 'UID FETCH',
  parse,
  run: (context, args) => run(context, args, true),
})

async function run(context: InMailbox, { set, items, modifiers }: FetchArguments, byUid: boolean): Promise<Completed> {
  const { session, account, selected } = context
  checkModifiers(context, modifiers, byUid)
  const { out } = session
  const { changedSince } = modifiers
  const named = selected.resolve(set, byUid)
  if (changedSince !== undefined || items.some(({ kind }) => kind === 'modseq')) enableCondstore(session)
  if (modifiers.vanished && changedSince !== undefined)
    await refusing(tellVanishedEarlier(context, changedSince, selected.resolveGone(set)))
  const uids = await refusing(partial(context, named, modifiers))
  const wanted = uids.intersect(selected.uids).size
  if (wanted === 0) return { text: 'FETCH completed' }
  // RFC 7162 §3.1.4.1: CHANGEDSINCE asks for MODSEQ as well.
  const plan = fetchPlan(changedSince === undefined ? items : [...items, { kind: 'modseq' }], byUid)
  if (asksForUids(plan)) return await tellUids(context, uids)
  const markSeen = plan.marksSeen && !selected.readOnly
  const { want } = plan
  let answered = 0
  let refused: ImapError | undefined
  const asked = { uids, want, markSeen, ...(changedSince !== undefined && { changedSince }) }
  const atHand =
    wanted === 1 && changedSince === undefined && isLasting(plan) && !markSeen
      ? await session.readAhead.take({ account, selected, uid: uids.intersect(selected.uids).first ?? 0, want })
      : undefined
  const from = { account, selected, known: session.ports.known, asText: plan.isText }
  for await (const page of atHand === undefined ? refusingRows(messagesOf(from, asked)) : [[atHand]]) {
    const formatted = flagTexts(context)
    for (const message of page) {
      const { uid, modseq } = message
      const flags = want.flags || markSeen ? message.flags : undefined
      const number = selected.sequenceNumber(uid)
      if (number === undefined) continue
      answered++
      const fault = unreadable(plan, message)
      if (fault) {
        refused ??= fault
        continue
      }
      if (flags) selected.tell(uid, modseq)
      if (plan.isText && message.sections === undefined) {
        out.writeOctets(`* ${number} FETCH (${writeText(plan, message, formatted)})\r\n`)
        if (out.full) await out.room()
        continue
      }
      const parts = writeMessage(plan, message, formatted)
      if (markSeen && flags) parts.push({ text: alongChange(session.enabled, plan.items, message) })
      if (isAtHand(parts)) writeAtHand(out, number, parts)
      else await writeFetch(out, session.ports.blobs, number, parts)
      if (out.full) await out.room()
    }
  }
  if (refused) throw refused
  // Of those that did not change there is nothing to say, so nobody knows whether they are gone.
  if (answered === wanted || changedSince !== undefined) return { text: 'FETCH completed' }
  // Somebody removed what the client still counts — RFC 5530 §3.
  selected.mayHaveChanged()
  return { code: 'EXPUNGEISSUED', text: 'Some messages are gone' }
}

const asksForUids = ({ items }: FetchPlan): boolean => items.every(({ kind }) => kind === 'uid')

/** Known here, of messages that are gone as well — RFC 2180 §4.1. */
async function tellUids({ session: { out }, selected }: InMailbox, uids: NumberSet): Promise<Completed> {
  for (const uid of uids.intersect(selected.uids)) {
    out.writeOctets(`* ${selected.sequenceNumber(uid)} FETCH (UID ${uid})\r\n`)
    if (out.full) await out.room()
  }
  return { text: 'FETCH completed' }
}

/** Flags as this client is shown them. Messages of a page share their sets: each is looked at once. */
function flagTexts({ session, selected }: InMailbox): FlagsText {
  const texts = new Map<readonly string[], string>()
  const recentTexts = new Map<readonly string[], string>()
  const { recent } = selected
  return (uid, flags) => {
    const of = !recent.isEmpty && recent.has(uid) ? recentTexts : texts
    const known = of.get(flags)
    if (known !== undefined) return known
    tellNewKeywords(selected, session.out, flags)
    const text = formatFlags(selected, uid, flags)
    of.set(flags, text)
    return text
  }
}

/** This very FETCH may have changed the flags, so it tells what every change is told with — RFC 7162 §3.1, §3.2.4. */
function alongChange(enabled: Enabled, items: readonly FetchItem[], { uid, modseq }: FetchedMessage): string {
  const asked = (kind: FetchItem['kind']): boolean => items.some((item) => item.kind === kind)
  const tellsUid = enabled.has('QRESYNC') && !asked('uid')
  const tellsModseq = enabled.has('CONDSTORE') && !asked('modseq')
  return `${tellsUid ? ` UID ${uid}` : ''}${tellsModseq ? ` MODSEQ (${modseq})` : ''}`
}

function checkModifiers({ session }: InMailbox, { changedSince, vanished }: FetchModifiers, byUid: boolean): void {
  if (!vanished) return
  // RFC 7162 §3.2.6
  if (!byUid) throw bad('VANISHED is for UID FETCH')
  if (changedSince === undefined) throw bad('VANISHED needs CHANGEDSINCE')
  if (!session.enabled.has('QRESYNC')) throw bad('Enable QRESYNC first')
}

/** What PARTIAL leaves of the messages: counted among those that exist and, with CHANGEDSINCE, changed — RFC 9394 §3.4. */
async function partial(
  context: InMailbox,
  uids: NumberSet,
  { partial: range, changedSince }: FetchModifiers,
): Promise<NumberSet> {
  if (!range) return uids
  if (changedSince === undefined || uids.isEmpty) return context.selected.partOf(uids, range)
  const { found } = await findUids(context, {
    kind: 'and',
    keys: [
      { kind: 'uids', uids: uids.toString() },
      { kind: 'modseq', modseq: changedSince + 1 },
    ],
  })
  return partOf(found, range)
}
