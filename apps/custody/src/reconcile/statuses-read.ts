/**
 * Whoever finishes a task publishes its status first; while one may be unread, nothing is lost. So a look that found nothing
 * counts only when all that stood in MAIL_STATUS after it has been read.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { gather } from '@postbus/batch'
import type { ReadingState } from '@postbus/bus'

const POLL_MS = 100
const MAX_ASKING = 100_000

/**
 * All who ask while an answer is sought share the next one.
 *
 * @param stateOf how far MAIL_STATUS is read by now
 * @param patienceMs how long it is waited for; reading goes on meanwhile
 */
export function statusesRead(stateOf: () => Promise<ReadingState>, patienceMs: number): () => Promise<boolean> {
  const { add } = gather<undefined, boolean>(
    async (asking) => {
      const read = await readPast(await stateOf(), stateOf, patienceMs)
      return asking.map(() => read)
    },
    { maxItems: MAX_ASKING, maxWaiting: MAX_ASKING },
  )
  return () => add(undefined)
}

async function readPast(
  { createdAt, lastSequence, readTo }: ReadingState,
  stateOf: () => Promise<ReadingState>,
  patienceMs: number,
): Promise<boolean> {
  const deadline = performance.now() + patienceMs
  for (let read = readTo; read < lastSequence;) {
    if (performance.now() > deadline) return false
    await pause(POLL_MS)
    const now = await stateOf()
    // Another stream of the name knows nothing of the old one's end.
    if (now.createdAt !== createdAt) return false
    read = now.readTo
  }
  return true
}
