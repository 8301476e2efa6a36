/** Requests about what is in one mailbox: opening it, keeping up with it, reading and searching it. */
import type { Bus, Stoppable } from '@postbus/bus'
import {
  type AccountId,
  type FetchedPage,
  fetchMessages,
  FlagColumns,
  type FlagsRow,
  MAX_SEARCH_DEPTH,
  MAX_SORTED_IN_ROW,
  openMailbox,
  type SearchKey,
  searchMailbox,
  sortMailbox,
  syncMailbox,
  threadMailbox,
} from '@postbus/contracts'
import { RequestRefused } from '@postbus/bus'
import { NumberSet } from '@postbus/imap-wire'

import { parseFlags } from '../mailbox/flags.ts'
import { depthOf } from '../mailbox/search-program.ts'
import type { MailboxOf, SearchPage, SyncPage } from '../mailbox/storage.ts'
import { joined, parseUidSet, type UidRange, uidSetPieces } from '../mailbox/uid-ranges.ts'
import { named, noSuchMailbox, type Sessions } from './sessions.ts'

/** Messages in one page of a sync. */
const SYNC_PAGE = 2000

export function answerSelected(bus: Pick<Bus, 'answerRows'>, sessions: Sessions): Promise<Stoppable[]> {
  const { storage } = sessions
  return Promise.all([
    bus.answerRows(openMailbox, async function* ({ token, name, readOnly }) {
      const account = await sessions.accountOf(token)
      const opened = await storage.read('open', { account, name: named(name, 'noSuchMailbox') })
      if (opened === null) throw noSuchMailbox()
      const { info, firstUnseen, uids } = opened
      const recentFrom = readOnly
        ? opened.recentFrom
        : await claimRecent(sessions, { account, mailbox: info.mailbox }, opened.recentFrom, info.uidNext)
      const recent = NumberSet.fromRanges(uids).within(recentFrom, info.uidNext).size
      yield {
        row: {
          kind: 'mailbox' as const,
          info: { ...info, recent },
          recentFrom,
          ...(firstUnseen === null ? {} : { firstUnseen }),
        },
      }
      for (const piece of uidSetPieces(uids)) yield { row: { kind: 'uids' as const, uids: piece } }
    }),

    bus.answerRows(syncMailbox, async function* ({ token, mailbox, modseq, ...asked }, { signal }) {
      const account = await sessions.accountOf(token)
      const at = { account, mailbox }
      let page = await nextSyncPage(sessions, { ...at, modseq, uid: null, vanishedAfter: modseq })
      for (;;) {
        if (asked.untilVanished && page.vanished.length > 0) return
        yield* syncRows(page)
        if (page.next === null) break
        signal.throwIfAborted()
        page = await nextSyncPage(sessions, { ...at, ...page.next, vanishedAfter: page.highestModseq })
      }
      const { highestModseq, uidNext } = page
      const recentFrom = asked.claimRecent ? await claimRecent(sessions, at, page.recentFrom, uidNext) : page.recentFrom
      yield { row: { kind: 'now' as const, highestModseq, uidNext, recentFrom } }
    }),

    bus.answerRows(fetchMessages, async function* ({ token, mailbox, uids, want, markSeen, changedSince }, { signal }) {
      const account = await sessions.accountOf(token)
      const at = { account, mailbox }
      const pageOf = (rest: UidRange[], limit?: number) =>
        storage.read('fetch', { ...at, uids: rest, want, limit, changedSince: changedSince ?? null })
      let coming = pageOf(parseUidSet(uids))
      for (;;) {
        const fetched = await coming
        if (fetched === null) throw noSuchMailbox()
        const { page, octets, unseen, rest, nextLimit } = fetched
        const last = rest.length === 0
        // The next page is read while this one travels. A reader that is slow has two pages waiting, never more.
        if (!last) {
          coming = pageOf(rest, nextLimit)
          coming.catch(() => {})
        }
        const row = markSeen ? await marked(sessions, at, page, unseen) : page
        if (row.uids.length > 0) yield { row, bytes: octets === null ? [] : [octets] }
        if (last) return
        signal.throwIfAborted()
      }
    }),

    bus.answerRows(searchMailbox, async function* ({ token, mailbox, key }, { signal }) {
      const account = await sessions.accountOf(token)
      for await (const page of searched(sessions, { account, mailbox }, key, signal)) {
        const modseq = modseqOf(page.highestModseq)
        for (const piece of uidSetPieces(page.uids)) yield { row: { uids: piece, ...modseq } }
      }
    }),

    bus.answerRows(sortMailbox, async function* ({ token, mailbox, key, criteria }, { signal }) {
      const at = { account: await sessions.accountOf(token), mailbox }
      const { uids, modseq } = await allFound(searched(sessions, at, key, signal))
      const sorted = await storage.read('sort', { ...at, uids, criteria })
      if (sorted === null) throw noSuchMailbox()
      for (let from = 0; from < sorted.length; from += MAX_SORTED_IN_ROW) {
        yield { row: { uids: [...sorted.subarray(from, from + MAX_SORTED_IN_ROW)], ...modseq } }
      }
    }),

    bus.answerRows(threadMailbox, async function* ({ token, mailbox, key, algorithm }, { signal }) {
      const at = { account: await sessions.accountOf(token), mailbox }
      const { uids } = await allFound(searched(sessions, at, key, signal))
      const threads = await storage.read('thread', { ...at, uids, algorithm })
      if (threads === null) throw noSuchMailbox()
      if (threads.kind === 'tooLong') throw new RequestRefused('tooComplex', 'The references are too long to thread by')
      for (const piece of threads.pieces) yield { row: { threads: piece } }
    }),
  ])
}

async function* searched(
  { storage }: Sessions,
  at: MailboxOf,
  key: SearchKey,
  signal: AbortSignal,
): AsyncGenerator<SearchPage> {
  if (depthOf(key) > MAX_SEARCH_DEPTH) throw new RequestRefused('tooComplex', 'The search program is too deep')
  const now = Date.now()
  for (let after: number | null = 0; after !== null;) {
    const page: SearchPage | null = await storage.read('search', { ...at, key, after, now })
    if (page === null) throw noSuchMailbox()
    yield page
    after = page.next
    signal.throwIfAborted()
  }
}

const modseqOf = (highestModseq: number) => (highestModseq > 0 ? { highestModseq } : {})

async function allFound(pages: AsyncIterable<SearchPage>) {
  const found: UidRange[] = []
  let highestModseq = 0
  for await (const page of pages) {
    for (const range of page.uids) found.push(range)
    highestModseq = Math.max(highestModseq, page.highestModseq)
  }
  return { uids: joined(found), modseq: modseqOf(highestModseq) }
}

/** Only UIDs the asker is told of are claimed: what came since is left for the next one to ask. */
async function claimRecent(sessions: Sessions, at: MailboxOf, recentFrom: number, uidNext: number): Promise<number> {
  if (recentFrom >= uidNext) return recentFrom
  return sessions.write('claimRecent', { ...at, below: uidNext })
}

async function nextSyncPage(
  { storage }: Sessions,
  from: { account: AccountId; mailbox: number; modseq: number; uid: number | null; vanishedAfter: number },
): Promise<SyncPage> {
  const page = await storage.read('sync', { ...from, limit: SYNC_PAGE })
  if (page === null) throw noSuchMailbox()
  return page
}

function* syncRows({ vanished, messages }: SyncPage) {
  for (const piece of uidSetPieces(vanished)) yield { row: { kind: 'vanished' as const, uids: piece } }
  for (const message of messages) yield { row: { kind: 'message' as const, ...message } }
}

/** Sets \Seen where it is missing. The page says what the flags of those messages are afterwards. */
async function marked(
  sessions: Sessions,
  at: MailboxOf,
  page: FetchedPage,
  unseen: readonly UidRange[],
): Promise<FetchedPage> {
  if (unseen.length === 0) return page
  const now = new Map<number, FlagsRow>()
  for (let uids = [...unseen]; uids.length > 0;) {
    const seen = { mode: 'add', flags: parseFlags(['\\Seen']), unchangedSince: null } as const
    const { messages, rest } = await sessions.write('store', { ...at, uids, ...seen })
    for (const message of messages) now.set(message.uid, message)
    uids = rest
  }
  const flags = new FlagColumns()
  for (const [index, uid] of page.uids.entries()) {
    const before = page.flags?.[index]
    flags.add(now.get(uid)?.flags ?? (typeof before === 'number' ? page.flagSets?.[before] : undefined))
  }
  const modseqs = page.uids.map((uid, index) => now.get(uid)?.modseq ?? page.modseqs[index] ?? 0)
  return { ...page, modseqs, ...flags.columns() }
}
