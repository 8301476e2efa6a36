/** Requests of operators: what was expunged, putting it back, and whether all an account has fits together. */
import type { Bus, Stoppable } from '@postbus/bus'
import { checkAccount as checkContract, listExpunged, restoreExpunged } from '@postbus/contracts'
import { type Addresses, unpackStructure } from '@postbus/message'

import { checkAccount, type CheckPorts } from '../mailbox/check-account.ts'
import type { ExpungedRow } from '../mailbox/storage.ts'
import { named, type Sessions } from './sessions.ts'

interface Outside {
  check: CheckPorts
  undeleteMs: number
  log: { warn(facts: object, text: string): void }
}

const PAGE = 500
const MAX_TEXT = 200

export function answerOperators(
  bus: Pick<Bus, 'answer' | 'answerRows'>,
  sessions: Sessions,
  { check, undeleteMs, log }: Outside,
): Promise<Stoppable[]> {
  return Promise.all([
    bus.answerRows(listExpunged, async function* ({ token, mailbox = null, since }, { signal }) {
      const account = await sessions.accountOf(token)
      await keepRemoved(sessions)
      const at = { account, mailbox, since: since === undefined ? 0 : Date.parse(since), limit: PAGE }
      for (let after = 0; ;) {
        const page = await sessions.storage.read('expunged', { ...at, after })
        for (const row of page) yield { row: shown(row, undeleteMs) }
        if (page.length < PAGE) return
        after = page.at(-1)?.id ?? after
        signal.throwIfAborted()
      }
    }),

    bus.answer(restoreExpunged, async ({ token, ids, to }) => {
      const account = await sessions.accountOf(token)
      const restored = await sessions.write('restore', {
        account,
        ids,
        to: to === undefined ? null : named(to, 'invalid'),
        at: Date.now(),
        quotaBytes: await sessions.quotaOf(account),
      })
      log.warn({ account, restored }, 'expunged messages restored')
      return { restored }
    }),

    bus.answerRows(checkContract, async function* ({ token, repair }, { signal }) {
      const account = await sessions.accountOf(token)
      for await (const row of checkAccount(account, repair, check)) {
        if (row.kind === 'fault') log.warn({ account, ...row.fault }, 'fault in an account')
        yield { row }
        signal.throwIfAborted()
      }
    }),
  ])
}

/** Messages of a mailbox deleted a moment ago are on their way still to where expunged ones are kept; nothing else ends here. */
async function keepRemoved(sessions: Sessions): Promise<void> {
  const step = { at: Date.now(), expungedBefore: 0, blobsBefore: 0, removed: [] }
  while ((await sessions.write('purge', step)).rows > 0);
}

function shown({ structure, at, internalDate, ...row }: ExpungedRow, undeleteMs: number) {
  const envelope = structure === null ? undefined : unpackStructure(structure).envelope
  return {
    ...row,
    expungedAt: new Date(at).toISOString(),
    keptUntil: new Date(at + undeleteMs).toISOString(),
    internalDate: new Date(internalDate).toISOString(),
    from: addressOf(envelope?.from).slice(0, MAX_TEXT),
    subject: (envelope?.subject ?? '').slice(0, MAX_TEXT),
  }
}

function addressOf(from: Addresses = []): string {
  const first = from.find((entry) => entry.kind === 'mailbox')
  return first === undefined ? '' : `${first.localPart ?? ''}@${first.domain ?? ''}`
}
