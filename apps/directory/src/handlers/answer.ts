/** The bus's side of a refusal: decisions throw their own, which knows nothing of the bus. */
import { type AnswerContext, type Bus, RequestRefused, type Stoppable } from '@postbus/bus'
import type { RequestContract } from '@postbus/contracts'
import type { z } from 'zod'

import { Refusal } from '../refusal.ts'

export type Answer = <I extends z.ZodType, O extends z.ZodType>(
  contract: RequestContract<I, O>,
  handler: (input: z.output<I>, context: AnswerContext) => Promise<z.input<O>>,
) => Promise<Stoppable>

export function answerOn(bus: Pick<Bus, 'answer'>): Answer {
  return (contract, handler) =>
    bus.answer(contract, async (input, context) => {
      try {
        return await handler(input, context)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        throw new RequestRefused(error.code, error.message, { cause: error })
      }
    })
}
