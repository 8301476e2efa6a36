/** What is new in a message's life since it was looked at last: for following it. */
import type { LifeEvent, MessageLife } from './life.ts'

export interface News extends LifeEvent {
  queueId: string
  /** Of the message itself there is none. */
  forwardPath?: string
}

/** @returns tells what it has not told before, oldest first */
export function newsTeller(): (life: MessageLife) => News[] {
  const told = new Set<string>()
  return (life) => {
    const fresh = newsOf(life).filter((news) => {
      const key = JSON.stringify(news)
      return told.has(key) ? false : told.add(key)
    })
    return fresh.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at))
  }
}

function newsOf(life: MessageLife): News[] {
  const { queueId, acceptedAt, origin, recipients, freed } = life
  return [
    { queueId, at: acceptedAt, afterMs: 0, what: 'accepted', detail: `by ${origin}` },
    ...recipients.flatMap(({ forwardPath, events, reports }) => [
      ...events.map((event) => ({ ...event, queueId, forwardPath })),
      ...reports.flatMap(newsOf),
    ]),
    ...(freed ? [{ ...freed, queueId }] : []),
  ]
}

/** Nothing more will happen to it, nor to what was reported of it. */
export const isOver = ({ freed, recipients }: MessageLife): boolean =>
  freed !== undefined && recipients.every(({ reports }) => reports.every(isOver))
