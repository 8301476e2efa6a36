/** postbus trace: one message's life through all services, as a tree; `--follow`: as it happens. */
import { setTimeout as pause } from 'node:timers/promises'

import { type Bus, RequestRefused } from '@postbus/bus'
import { bucketOf, CustodyChanged, QueueId } from '@postbus/contracts'

import { fetchLife, findIds } from '../../adapters/lives.ts'
import { drawLife, eventText } from '../../trace/draw.ts'
import type { MessageLife } from '../../trace/life.ts'
import { isOver, type News, newsTeller } from '../../trace/news.ts'
import { type Answer, type Command, type OptionValues, take, textOption, UsageError } from '../command.ts'

const DEFAULT_LIMIT = 1
const MAX_LIMIT = 50
const DEFAULT_RECIPIENTS = 100
const MAX_RECIPIENTS = 10_000
/** Hints may be lost. */
const LOOK_AGAIN_MS = 2_000
/** What is not there yet is looked for so often. */
const NOT_YET_MS = 500

export const traceCommand: Command = {
  name: 'trace',
  takes: '<queue-id|message-id|address>',
  summary: 'one message’s life through all services, with durations',
  details:
    'A Message-ID stands in angle brackets; of an address the newest messages from it and to it are shown. With --follow what happens is\ntold as it happens, until the message has come to its end everywhere; a message that is not there yet is waited for. With --json a line\nfor each event then.',
  options: {
    follow: { type: 'boolean', short: 'f', help: 'tell what happens as it happens' },
    limit: { type: 'string', help: `so many messages of an address (${DEFAULT_LIMIT}; up to ${MAX_LIMIT})` },
    recipients: { type: 'string', help: `so many recipients of each (${DEFAULT_RECIPIENTS}; up to ${MAX_RECIPIENTS})` },
  },
  async run({ bus, args, options, print }) {
    const [text] = take(args, '<queue-id|message-id|address>')
    const limit = countIn(options, 'limit', DEFAULT_LIMIT, MAX_LIMIT)
    const recipients = countIn(options, 'recipients', DEFAULT_RECIPIENTS, MAX_RECIPIENTS)
    const find = finderOf(bus, text)
    if (options['follow']) {
      const line = options['json'] ? (news: News) => JSON.stringify(news) : lineOf
      await follow(bus, await untilFound(find), recipients, (news) => print(line(news)))
      return { value: null, text: '', silent: true }
    }
    const ids = await find(limit)
    const lives = []
    for (const id of ids) lives.push(await fetchLife(bus, id, recipients))
    return answerOf(lives)
  },
}

const answerOf = (lives: MessageLife[]): Answer => ({
  value: { messages: lives },
  text: lives.length === 0 ? 'no message known' : lives.map(drawLife).join('\n\n'),
})

type Find = (limit: number) => Promise<QueueId[]>

function finderOf(bus: Bus, text: string): Find {
  if (text.includes('@') || /^<.+>$/.test(text)) return (limit) => findIds(bus, text, limit)
  const queueId = QueueId.safeParse(text.toUpperCase())
  if (queueId.success) return async () => [queueId.data]
  throw new UsageError(
    `a queue id has 26 letters and digits, as the 250 reply names it; a Message-ID or an address has an @; not ${text}`,
  )
}

async function untilFound(find: Find): Promise<QueueId> {
  for (;;) {
    const [newest] = await find(1)
    if (newest !== undefined) return newest
    await pause(NOT_YET_MS)
  }
}

async function follow(bus: Bus, queueId: QueueId, recipients: number, tell: (news: News) => void): Promise<void> {
  const freshFrom = newsTeller()
  let wake = (): void => {}
  const told = bus.listen(CustodyChanged, (hint) => hint.queueId === queueId && wake(), { bucket: bucketOf(queueId) })
  try {
    for (;;) {
      // Whatever comes while custody is asked is a reason to ask again.
      const hinted = new Promise<void>((resolve) => (wake = resolve))
      const life = await lifeIfKnown(bus, queueId, recipients)
      if (life !== null) for (const news of freshFrom(life)) tell(news)
      if (life !== null && isOver(life)) return
      const late = new AbortController()
      const later = pause(life === null ? NOT_YET_MS : LOOK_AGAIN_MS, undefined, { signal: late.signal }).catch(
        () => {},
      )
      await Promise.race([hinted, later])
      late.abort()
    }
  } finally {
    await told.stop()
  }
}

async function lifeIfKnown(bus: Bus, queueId: QueueId, recipients: number): Promise<MessageLife | null> {
  try {
    return await fetchLife(bus, queueId, recipients)
  } catch (error) {
    if (error instanceof RequestRefused) return null
    throw error
  }
}

const lineOf = (news: News): string =>
  `${news.at}  ${news.queueId}  ${news.forwardPath ?? ''}  ${eventText(news)}`.replaceAll(/\p{Cc}/gu, '?')

function countIn(options: OptionValues, name: string, usual: number, most: number): number {
  const text = textOption(options, name) ?? String(usual)
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (count >= 1 && count <= most) return count
  throw new UsageError(`--${name} is a number from 1 to ${most}, not ${text}`)
}
