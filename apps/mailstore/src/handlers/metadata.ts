/** mailstore.getMetadata and setMetadata: annotations — RFC 5464. */
import type { Bus, Stoppable } from '@postbus/bus'
import { getMetadata, setMetadata } from '@postbus/contracts'

import { named, noSuchMailbox, type Sessions } from './sessions.ts'

export function answerMetadata(bus: Pick<Bus, 'answer' | 'answerRows'>, sessions: Sessions): Promise<Stoppable[]> {
  return Promise.all([
    bus.answerRows(getMetadata, async function* ({ token, name, entries, depth }) {
      const account = await sessions.accountOf(token)
      const found = await sessions.storage.read('metadata', { account, name: place(name), entries, depth })
      if (found === null) throw noSuchMailbox()
      for (const { entry, value } of found) yield { row: { entry }, bytes: [value] }
    }),

    bus.answer(setMetadata, async ({ token, name, entries }) => {
      const account = await sessions.accountOf(token)
      const decoded = entries.map(({ entry, value }) => ({
        entry,
        value: value === null ? null : new Uint8Array(Buffer.from(value, 'base64')),
      }))
      await sessions.write('setMetadata', { account, name: place(name), entries: decoded })
      return {}
    }),
  ])
}

/** A normalized name, or null for the account as a whole. */
const place = (name: string): string | null => (name === '' ? null : named(name, 'noSuchMailbox'))
