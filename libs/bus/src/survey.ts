/** One question to all copies of all services: answers are gathered until enough have come and no more do, or time is up. */
import { headers, type Subscription } from '@nats-io/transport-node'
import type { SurveyContract } from '@postbus/contracts'
import { traceparent } from '@postbus/tracing'
import type { Logger } from 'pino'
import type { z } from 'zod'

import { BusUnavailable, type Stoppable, type SurveyOptions } from './bus.ts'
import { noResponders, type Connection } from './connection.ts'
import { sleep } from './pause.ts'
import { tryJson } from './request.ts'

/** Longer than a busy event loop keeps anybody waiting. */
const WAIT_MS = 3_000
/** After an answer, when there are enough of them. */
const QUIET_MS = 250
/** More copies than this are not heard. */
const MAX_ANSWERS = 10_000

export async function survey<I extends z.ZodType, O extends z.ZodType>(
  connection: Connection,
  contract: SurveyContract<I, O>,
  input: z.input<I>,
  { waitMs = WAIT_MS, enough = () => false }: SurveyOptions<z.output<O>> = {},
): Promise<z.output<O>[]> {
  const payload = JSON.stringify(contract.input.parse(input))
  if (!(await connection.whenConnected(waitMs))) throw new BusUnavailable(`${contract.name}: no connection to the bus`)
  const answers: z.output<O>[] = []
  const over = new AbortController()
  let quiet: NodeJS.Timeout | undefined
  const hearing = connection.hear((message) => {
    // Nobody listens; the server says so at once.
    if (noResponders(message)) return over.abort()
    const answer = contract.output.safeParse(tryJson(message))
    if (answer.success && answers.length < MAX_ANSWERS) answers.push(answer.data)
    if (!enough(answers)) return
    clearTimeout(quiet)
    quiet = setTimeout(() => over.abort(), QUIET_MS)
  })
  try {
    const header = headers()
    header.set('traceparent', traceparent())
    connection.nats.publish(contract.subject, payload, { reply: hearing.inbox, headers: header })
    await sleep(waitMs, over.signal)
    return answers
  } finally {
    clearTimeout(quiet)
    hearing.end()
  }
}

/** @param answer null: the question is not for this copy */
export function answerSurvey<I extends z.ZodType, O extends z.ZodType>(
  connection: Connection,
  contract: SurveyContract<I, O>,
  log: Logger,
  answer: (input: z.output<I>) => Promise<z.input<O> | null>,
): Stoppable {
  const subscription: Subscription = connection.nats.subscribe(contract.subject, {
    callback: (err, message) => {
      if (err) return log.error({ err, survey: contract.name }, 'may not answer: permissions of this party are wrong')
      const input = contract.input.safeParse(tryJson(message))
      if (!input.success) return log.error({ survey: contract.name }, 'survey does not match its contract')
      answer(input.data).then(
        (own) => void (own !== null && message.respond(JSON.stringify(contract.output.parse(own)))),
        (error: unknown) => log.error({ err: error, survey: contract.name }, 'could not answer'),
      )
    },
  })
  return { stop: async () => subscription.unsubscribe() }
}
