/** postbus where: what became of every recipient of one message; or which messages have a Message-ID or an address. */
import type { Bus } from '@postbus/bus'
import { findMessages, type FoundMessage, QueueId, where } from '@postbus/contracts'

import { type Answer, given, take, textOption, UsageError, type Command, type OptionValues } from '../command.ts'
import { bytes, facts, table } from '../table.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 1000

export const whereCommand: Command = {
  name: 'where',
  takes: '<queue-id|message-id|address>',
  summary: 'where a message is, recipient by recipient; or which messages there are',
  details:
    'A queue id shows one message. A Message-ID in angle brackets, or an address, lists messages, newest first: those from the\naddress, and those to it as the sender wrote it.',
  options: {
    after: { type: 'string', help: 'only messages accepted at or after this time (ISO 8601)' },
    before: { type: 'string', help: 'only messages accepted before this time' },
    limit: { type: 'string', help: `at most so many messages (${DEFAULT_LIMIT}; up to ${MAX_LIMIT})` },
  },
  async run({ bus, args, options }) {
    const [text] = take(args, '<queue-id|message-id|address>')
    if (text.includes('@') || isMessageId(text)) return await list(bus, text, options)
    const queueId = QueueId.safeParse(text.toUpperCase())
    if (queueId.success) return await show(bus, queueId.data)
    throw new UsageError(
      `a queue id has 26 letters and digits, as the 250 reply names it; a Message-ID or an address has an @; not ${text}`,
    )
  },
}

const isMessageId = (text: string): boolean => /^<.+>$/.test(text)

async function list(bus: Bus, text: string, options: OptionValues): Promise<Answer> {
  const limit = limitIn(options)
  const common = { ...given({ after: timeIn(options, 'after'), before: timeIn(options, 'before') }), limit }
  const wanted = isMessageId(text) ? [{ messageId: text }] : [{ sender: text }, { recipient: text }]
  const answers = await Promise.all(wanted.map((one) => bus.request(findMessages, { ...one, ...common })))
  // Who writes to himself is sender and recipient.
  const all = new Map(answers.flatMap(({ messages }) => messages.map((message) => [message.queueId, message] as const)))
  const messages = [...all.values()].toSorted((one, other) => Date.parse(other.acceptedAt) - Date.parse(one.acceptedAt))
  const shown = messages.slice(0, limit)
  const more = messages.length > limit || answers.some((answer) => answer.more)
  const value = { messages: shown, more }
  if (shown.length === 0) return { value, text: 'no message known' }
  const rows = table(['accepted', 'queue id', 'from', 'recipients', 'open', 'Message-ID'], shown.map(rowOf))
  return { value, text: more ? `${rows}\n\nThere are older ones: --limit, --before.` : rows }
}

const rowOf = ({ acceptedAt, queueId, reversePath, recipients, open, messageId }: FoundMessage): unknown[] => [
  ...[acceptedAt, queueId, reversePath === '' ? '<>' : reversePath, recipients, open, messageId],
]

function limitIn(options: OptionValues): number {
  const text = textOption(options, 'limit') ?? String(DEFAULT_LIMIT)
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new UsageError(`--limit is a number from 1 to ${MAX_LIMIT}, not ${text}`)
}

function timeIn(options: OptionValues, name: 'after' | 'before'): string | undefined {
  const text = textOption(options, name)
  if (text === undefined) return undefined
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) throw new UsageError(`--${name} is a time like 2026-01-05T10:00Z, not ${text}`)
  return time.toISOString()
}

async function show(bus: Bus, queueId: QueueId): Promise<Answer> {
  const value = await bus.request(where, { queueId })
  const head = facts({
    'queue id': value.queueId,
    from: value.reversePath === '' ? '<>' : value.reversePath,
    accepted: `${value.acceptedAt} (${value.origin})`,
    size: bytes(value.size),
    'Message-ID': value.messageId,
    spool: value.freedAt === undefined ? 'kept' : `freed ${value.freedAt}`,
  })
  const originals = value.originals.flatMap(({ recipient, routed, report }) => {
    if (!routed) return [[recipient.forwardPath, 'not yet routed', '', '', '', '']]
    return report === undefined ? [] : [[recipient.forwardPath, 'passed on', '', '', '', `reported in ${report}`]]
  })
  const rows = value.recipients.flatMap(
    ({ forwardPath, state, at, detail, nextAttemptAt, report, unreported, laterReports = [] }) => [
      [
        ...[forwardPath, state, at, detail, nextAttemptAt === undefined ? '' : `next ${nextAttemptAt}`],
        report === undefined ? (unreported === undefined ? '' : `no report: ${unreported}`) : `reported in ${report}`,
      ],
      // Somebody else's word: not what became of it, but what is said.
      ...laterReports.map((later) => [
        forwardPath,
        `said: ${later.action}`,
        later.at,
        later.reason ?? later.status,
        later.reportingMta,
        `in ${later.report}`,
      ]),
    ],
  )
  return {
    value,
    text: `${head}\n\n${table(['recipient', 'state', 'since', 'detail', '', ''], [...originals, ...rows])}`,
  }
}
