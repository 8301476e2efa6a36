/** delivery.outcomes: what the attempt ledger says, for custody. */
import type { Bus, Stoppable } from '@postbus/bus'
import { findOutcomes } from '@postbus/contracts'

import type { Ledger } from '../attempt/ledger.ts'
import { statusOf } from '../attempt/next.ts'

export function answerOutcomes(bus: Pick<Bus, 'answer'>, ledger: Pick<Ledger, 'find'>): Promise<Stoppable> {
  return bus.answer(findOutcomes, async ({ tasks }) => {
    const outcomes = tasks.map(async (task) => {
      const entry = await ledger.find(task)
      return entry && statusOf(task, entry)
    })
    return { outcomes: await Promise.all(outcomes) }
  })
}
