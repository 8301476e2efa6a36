/**
 * Statuses of handlers that run at the same time, gathered into few messages. `write` resolves when the stream has them, so a
 * handler may acknowledge what came.
 */
import { gather } from '@postbus/batch'
import { MailStatus, statusMessages, type Status } from '@postbus/contracts'
import { batched } from '@postbus/tracing'

import type { Bus } from './bus.ts'

/** Waiting calls; a handler waits for its own, so the bound is far above any maxInFlight. */
const MAX_WAITING = 20_000
const MAX_CALLS_PER_FLUSH = 500
/** What a status is about mostly goes on when it is written. */
const LINGER_MS = 10

export interface StatusWriter {
  /** @throws as `publish` does; then nothing is known about any of these */
  write(statuses: readonly Status[]): Promise<void>
}

/** @param lingerMs while one flush follows upon the other: so long others may come before the next */
export function statusWriter(bus: Pick<Bus, 'publish'>, { lingerMs = LINGER_MS } = {}): StatusWriter {
  const { add } = gather<readonly Status[], undefined>(
    async (calls) => {
      await Promise.all(statusMessages(calls.flat()).map((message) => bus.publish(MailStatus, message)))
      return calls.map(() => undefined)
    },
    {
      ...{ maxItems: MAX_CALLS_PER_FLUSH, maxWaiting: MAX_WAITING, lingerMs },
      origin: batched('write statuses'),
    },
  )
  return {
    async write(statuses) {
      if (statuses.length > 0) await add(statuses)
    },
  }
}
