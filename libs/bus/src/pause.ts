/** Waiting that grows, with jitter, so that many who failed together do not return together. */
import { setTimeout as delay } from 'node:timers/promises'

export interface PauseOptions {
  minMs: number
  maxMs: number
  signal?: AbortSignal | undefined
}

/** How long before try `attempt` (0 is the first repetition): doubling, ± 20 %, never above the maximum. */
export function pauseMs(attempt: number, { minMs, maxMs }: PauseOptions): number {
  const full = Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30))
  return full * (0.8 + Math.random() * 0.2)
}

/** Ends early, without throwing, when the signal aborts. */
export async function pause(attempt: number, options: PauseOptions): Promise<void> {
  await sleep(pauseMs(attempt, options), options.signal)
}

export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal && { signal })
  } catch {
    // Aborted; whoever aborted it looks at the signal.
  }
}

/** Waits for the work, but not longer. @returns whether it ended in time; the work itself goes on */
export async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => timeout.resolve(false), ms)
  try {
    return await Promise.race([work.then(() => true), timeout.promise])
  } finally {
    clearTimeout(timer)
  }
}
