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
/** Nobody waits for a status but the handler that says it, and that one has hands enough. */
const LINGER_MS = 10

export interface StatusWriter {
  /** @throws as `publish` does; then nothing is known about any of these */
  write(statuses: readonly Status[]): Promise<void>
}

export function statusWriter(bus: Pick<Bus, 'publish'>): StatusWriter {
  const { add } = gather<readonly Status[], undefined>(
    async (calls) => {
      await Promise.all(statusMessages(calls.flat()).map((message) => bus.publish(MailStatus, message)))
      return calls.map(() => undefined)
    },
    {
      ...{ maxItems: MAX_CALLS_PER_FLUSH, maxWaiting: MAX_WAITING, lingerMs: LINGER_MS },
      origin: batched('write statuses'),
    },
  )
  return {
    async write(statuses) {
      if (statuses.length > 0) await add(statuses)
    },
  }
}
