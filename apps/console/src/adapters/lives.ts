/** Asks custody for everything a message's life is made of. */
import { type Bus, RequestRefused } from '@postbus/bus'
import { findMessages, type QueueId, recipientHistory, where } from '@postbus/contracts'

import { type History, type Known, lifeOf, type MessageLife } from '../trace/life.ts'

/** Histories asked for at once. */
const AT_ONCE = 16

/** @param shown recipients whose histories are asked for */
export async function fetchLife(bus: Bus, queueId: QueueId, shown: number): Promise<MessageLife> {
  const known = await bus.request(where, { queueId })
  const histories = await historiesOf(bus, known, shown)
  const named = [...histories.values()].flatMap(({ report, delayReport }) => [report, delayReport])
  const reports = new Map<string, MessageLife>()
  for (const report of new Set(named.filter((id) => id !== undefined))) {
    const page = await bus.request(where, { queueId: report }).catch(unlessForgotten)
    // A report is from the null reverse-path: of it nothing is reported.
    if (page) reports.set(report, lifeOf(page, await historiesOf(bus, page, shown)))
  }
  return lifeOf(known, histories, reports)
}

/** The books keep a message for a time only. */
function unlessForgotten(error: unknown): null {
  if (error instanceof RequestRefused) return null
  throw error
}

async function historiesOf(bus: Bus, { queueId, recipients }: Known, shown: number) {
  const histories = new Map<Known['recipients'][number]['n'], History>()
  const wanted = recipients.slice(0, shown)
  for (let from = 0; from < wanted.length; from += AT_ONCE) {
    const some = wanted.slice(from, from + AT_ONCE)
    const answers = await Promise.all(some.map(({ n }) => bus.request(recipientHistory, { queueId, n })))
    for (const [index, history] of answers.entries()) {
      const recipient = some[index]
      if (recipient) histories.set(recipient.n, history)
    }
  }
  return histories
}

/** Messages with a Message-ID (in angle brackets), or from or to an address; newest first. */
export async function findIds(bus: Bus, text: string, limit: number): Promise<QueueId[]> {
  const wanted = text.startsWith('<') ? [{ messageId: text }] : [{ sender: text }, { recipient: text }]
  const answers = await Promise.all(wanted.map((one) => bus.request(findMessages, { ...one, limit })))
  const all = new Map(answers.flatMap(({ messages }) => messages.map((message) => [message.queueId, message])))
  return [...all.values()]
    .toSorted((one, other) => Date.parse(other.acceptedAt) - Date.parse(one.acceptedAt))
    .slice(0, limit)
    .map(({ queueId }) => queueId)
}
