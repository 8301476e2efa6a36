/** delivery.outcomes: what the attempt ledger says, for custody. */
import type { Bus, Stoppable } from '@postbus/bus'
import { findOutcomes } from '@postbus/contracts'

import type { Ledger } from '../attempt/ledger.ts'

export function answerOutcomes(bus: Pick<Bus, 'answer'>, ledger: Pick<Ledger, 'find'>): Promise<Stoppable> {
  return bus.answer(findOutcomes, async ({ tasks }) => {
    const entries = await Promise.all(tasks.map((task) => ledger.find(task)))
    return {
      outcomes: entries.map((entry) => {
        if (entry === null) return null
        const { outcome, ...key } = entry
        return { ...key, ...outcome }
      }),
    }
  })
}
