/** Requests that change what is in a mailbox. */
import type { Bus, Stoppable } from '@postbus/bus'
import { appendMessages, copyMessages, expungeMessages, storeFlags } from '@postbus/contracts'

import type { AppendMessages } from '../mailbox/append.ts'
import { parseFlags } from '../mailbox/flags.ts'
import { formatUidSet, MAX_ANSWERED_LENGTH, parseUidSet, type UidRange, uidSetPieces } from '../mailbox/uid-ranges.ts'
import { named, type Sessions } from './sessions.ts'

export function answerChanges(
  bus: Pick<Bus, 'answer' | 'answerRows'>,
  sessions: Sessions,
  append: AppendMessages,
): Promise<Stoppable[]> {
  return Promise.all([
    bus.answerRows(storeFlags, async function* ({ token, mailbox, uids, mode, flags, unchangedSince }, { signal }) {
      const account = await sessions.accountOf(token)
      const change = { account, mailbox, mode, flags: parseFlags(flags), unchangedSince: unchangedSince ?? null }
      const conflict: UidRange[] = []
      for (let rest = parseUidSet(uids); rest.length > 0;) {
        const stored = await sessions.write('store', { ...change, uids: rest })
        for (const message of stored.messages) yield { row: { kind: 'stored' as const, ...message } }
        conflict.push(...stored.conflict)
        rest = stored.rest
        signal.throwIfAborted()
      }
      for (const piece of uidSetPieces(conflict)) yield { row: { kind: 'conflict' as const, uids: piece } }
    }),

    bus.answer(copyMessages, async ({ token, mailbox, uids, to, move, atLeast }) => {
      const account = await sessions.accountOf(token)
      const copied = await sessions.write('copy', {
        account,
        mailbox,
        uids: parseUidSet(uids),
        to: named(to, 'noSuchTarget'),
        ...{ move, atLeast },
        at: Date.now(),
        quotaBytes: await sessions.quotaOf(account),
      })
      return { uidValidity: copied.uidValidity, from: formatUidSet(copied.from), to: formatUidSet(copied.to) }
    }),

    bus.answer(expungeMessages, async ({ token, mailbox, uids, any }) => {
      const account = await sessions.accountOf(token)
      const vanished: UidRange[] = []
      let left = uids === undefined ? null : parseUidSet(uids)
      for (;;) {
        const step = await sessions.write('expunge', { account, mailbox, uids: left, any })
        vanished.push(...step.vanished)
        left = step.rest
        if (left.length > 0) continue
        const [lowest = '', ...others] = uidSetPieces(vanished, MAX_ANSWERED_LENGTH)
        return { vanished: lowest, ...(others.length > 0 && { more: true }), highestModseq: step.highestModseq }
      }
    }),

    bus.answer(appendMessages, async ({ token, name, messages, replaces }) => {
      const account = await sessions.accountOf(token)
      const appended = await append({
        account,
        name: named(name, 'noSuchMailbox'),
        quotaBytes: await sessions.quotaOf(account),
        messages,
        replaces,
      })
      return { uidValidity: appended.uidValidity, uids: formatUidSet([appended.uids]) }
    }),
  ])
}
