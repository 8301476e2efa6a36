/** Counting what accounts send. Requests that arrive while a transaction is under way share the next one. */
import { gather } from '@postbus/batch'

import type { DirectoryStore, SendingLimits } from '../store.ts'

export type SpendAnswer =
  { kind: 'granted' } | { kind: 'refused'; limit: 'messages' | 'recipients'; retryAfterMs: number; never?: true }

const MINUTE_MS = 60_000
const MAX_IN_TRANSACTION = 200
/** More waiting than this means the disk does not keep up; the front end answers 451. */
const MAX_WAITING = 5000

export function sendingCounter(store: Pick<DirectoryStore, 'spend'>, defaults: SendingLimits, now: () => number) {
  const { add } = gather(
    (items: readonly { account: string; recipients: number }[]) => {
      const minute = Math.floor(now() / MINUTE_MS)
      return store.spend(items.map((item) => ({ ...item, defaults, minute })))
    },
    { maxItems: MAX_IN_TRANSACTION, maxWaiting: MAX_WAITING },
  )

  return async (account: string, recipients: number): Promise<SpendAnswer> => {
    const spent = await add({ account, recipients })
    if (spent.kind === 'granted') return spent
    const { untilMinute, ...refused } = spent
    return { ...refused, retryAfterMs: Math.max(0, untilMinute * MINUTE_MS - now()) }
  }
}
