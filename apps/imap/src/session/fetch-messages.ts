/** Messages for FETCH, from what is known of the mailbox as far as that goes, from the mailstore otherwise. */
import { type FetchedMessage, fetchedMessages, fetchMessages, syncMailbox } from '@postbus/contracts'
import { MAX_NUMBER, NumberSet } from '@postbus/imap-wire'
import type { z } from 'zod'

import type { Account } from './account.ts'
import type { Want } from './fetch-plan.ts'
import { type Column, columnsOf, type KnownMailbox, type KnownMessages, type News } from './known-messages.ts'
import type { SelectedMailbox } from './selected-mailbox.ts'

type Pages = AsyncGenerator<Iterable<FetchedMessage>, void, undefined>

export interface FetchFrom {
  account: Account
  selected: SelectedMailbox
  known: KnownMessages
  /** Sections as text, where they are short. */
  asText: boolean
}

export interface Asked extends Omit<z.input<(typeof fetchMessages)['input']>, 'token' | 'mailbox' | 'uids'> {
  /** As few ranges as name the messages the client means: others it does not know may lie between them. */
  uids: NumberSet
  want: Want
}

/** Ascending; those gone meanwhile are left out. Throws as `Account.rows` does. */
export async function* messagesOf(from: FetchFrom, asked: Asked): Pages {
  const { account, selected, known } = from
  const { uids, want } = asked
  const wanted = asked.changedSince === undefined ? columnsOf(want) : null
  const isMany = (some: NumberSet): boolean => some.intersect(selected.uids).size >= known.limits.fewest
  if (wanted === null || known.limits.maxBytes === 0 || !isMany(uids)) return yield* pagesOf(from, asked)
  const mailbox = known.of(account.id, selected.mailbox, selected.modseq)
  // Answers ascend: what is known counts as far as the first that is not.
  const missing = uids.subtract(mailbox.covered(uids, wanted)).first ?? Infinity
  const atHand = uids.within(1, Math.min(missing - 1, MAX_NUMBER))
  let rest = uids
  if (isMany(atHand)) {
    const since = mailbox.modseq
    mailbox.catchUp(await newsOf(from, since), since)
    yield mailbox.messages(atHand.intersect(selected.uids))
    rest = uids.subtract(atHand)
  }
  if (!rest.isEmpty) yield* learning(from, { ...asked, uids: rest }, mailbox, wanted)
}

async function* learning(from: FetchFrom, asked: Asked, mailbox: KnownMailbox, wanted: readonly Column[]): Pages {
  const { modseq } = mailbox
  let isKept = true
  for await (const page of pagesOf(from, asked)) {
    yield isKept ? noting(page, mailbox, wanted, modseq) : page
    isKept &&= from.known.keeps(mailbox)
  }
  if (isKept) mailbox.learned(asked.uids, wanted, modseq)
}

function* noting(
  page: Iterable<FetchedMessage>,
  mailbox: KnownMailbox,
  wanted: readonly Column[],
  modseq: number,
): Generator<FetchedMessage> {
  for (const message of page) {
    mailbox.learn(message, wanted, modseq)
    yield message
  }
}

async function* pagesOf({ account, selected: { mailbox }, asText }: FetchFrom, { uids, ...asked }: Asked): Pages {
  const set = uids.toString()
  const rows = account.rows(fetchMessages, (token) => ({ token, mailbox, uids: set, ...asked }))
  for await (const { row, bytes } of rows) yield fetchedMessages(row, bytes, { asText })
}

/** What happened in the mailbox after this MODSEQ, all of it at once. */
async function newsOf({ account, selected: { mailbox } }: FetchFrom, modseq: number): Promise<News> {
  let vanished = NumberSet.empty
  let highestModseq = modseq
  const changed: News['changed'][number][] = []
  for await (const { row } of account.rows(syncMailbox, (token) => ({ token, mailbox, modseq }))) {
    if (row.kind === 'vanished') vanished = vanished.union(NumberSet.parse(row.uids))
    else if (row.kind === 'message') changed.push(row)
    else highestModseq = row.highestModseq
  }
  return { vanished, changed, highestModseq }
}
