/** postbus queue …: what waits to go out, why, and the operator's hands on it. */
import {
  type Act,
  countQueue,
  listQueue,
  NextHop,
  type QueuedRecipient,
  type QueueFilter,
  recipientHistory,
  RecipientKey,
  type Status,
  where,
} from '@postbus/contracts'

import {
  type Answer,
  type Command,
  type CommandContext,
  type OptionValues,
  textOption,
  UsageError,
} from '../command.ts'
import { bytes, facts, span, table } from '../table.ts'
import { actOnAll, type Outcome, type Task } from './queue-acts.ts'
import { filterOf, filterOptions, queueIdOf } from './queue-filter.ts'

const LIST_LIMIT = 1000
const SITES_LIMIT = 100
/** As many as custody gives at once. */
const MOST = 1_000_000
/** Fewer are acted on without a word in between. */
const TOLD_FROM = 2000
const TOLD_EVERY_MS = 1000
const MAX_NAMED = 100

const limitOption = { limit: { type: 'string', help: 'how many at most' } } satisfies Command['options']

const list: Omit<Command, 'name'> = {
  takes: '',
  summary: 'outgoing recipients that are still open, oldest first',
  options: { ...filterOptions, ...limitOption },
  async run({ bus, options }) {
    const limit = limitOf(options, LIST_LIMIT, MOST)
    const value = await rowsOf({ bus }, await filterOf(bus, [], options), limit)
    const more = value.length === limit ? `\n\nNo more than ${limit} are shown; --limit shows more.` : ''
    return { value, text: `${listing(value)}${more}` }
  },
}

export const queueCommands: Command[] = [
  {
    name: 'queue list',
    ...list,
  },
  {
    name: 'queue sites',
    takes: '',
    summary: 'open recipients counted by site, the fullest first',
    options: { ...filterOptions, ...limitOption },
    async run({ bus, options }) {
      const limit = limitOf(options, SITES_LIMIT, 10_000)
      const value = await bus.request(countQueue, { filter: await filterOf(bus, [], options), limit })
      const rows = value.sites.map(({ site, routed, deferred, held, dead, oldestAt, nextAttemptAt }) => [
        ...[site, routed + deferred + held + dead, routed, deferred, held, dead],
        ...[age(oldestAt), next(nextAttemptAt)],
      ])
      const header = ['site', 'all', 'routed', 'deferred', 'held', 'dead', 'oldest', 'next']
      return { value, text: `${table(header, rows)}\n\n${value.total} in all` }
    },
  },
  {
    name: 'queue show',
    takes: '<queue-id> [<recipient>]',
    summary: 'one message in the queue, or one recipient with its history',
    details: 'A recipient is named by its address, or by the key that stands in the first column.',
    async run({ bus, args }) {
      const [id = '', recipient] = args
      const queueId = queueIdOf(id)
      const message = await bus.request(where, { queueId })
      const chosen = message.recipients.filter(
        ({ n, forwardPath }) => recipient === undefined || n === recipient || samePath(forwardPath, recipient),
      )
      const [only] = chosen
      if (only === undefined) throw new UsageError(`${queueId} has no recipient ${recipient ?? 'yet'}`)
      const head = {
        'queue id': queueId,
        from: path(message.reversePath),
        accepted: `${message.acceptedAt} (${message.origin}), ${age(message.acceptedAt)} ago`,
        size: bytes(message.size),
        'Message-ID': message.messageId,
      }
      if (chosen.length > 1) {
        const rows = chosen.map(({ n, forwardPath, state, attempt, at, nextAttemptAt, detail }) => [
          ...[n, forwardPath, state, attempt, at, next(nextAttemptAt), detail],
        ])
        const header = ['key', 'recipient', 'state', 'attempts', 'since', 'next', 'reason']
        return { value: { ...message, recipients: chosen }, text: `${facts(head)}\n\n${table(header, rows)}` }
      }
      const { n } = only
      const [queued] = await rowsOf({ bus }, { queueId, n }, 1)
      const { history } = await bus.request(recipientHistory, { queueId, n })
      const more = {
        recipient: only.forwardPath,
        key: n,
        state: only.state,
        site: queued?.site,
        via: queued?.via,
        expires: queued?.expiresAt,
        next: only.nextAttemptAt,
      }
      const rows = history.map((status) => [status.at, 'attempt' in status ? status.attempt : '', ...said(status)])
      return {
        value: { ...message, recipients: [only], ...(queued && { queued }), history },
        text: `${facts({ ...head, ...more })}\n\n${table(['at', 'attempt', 'what', 'detail'], rows)}`,
      }
    },
  },
  acting({
    verb: 'retry',
    summary: 'try again now, before its time',
    states: ['routed', 'deferred'],
    act: () => ({ kind: 'retry' }),
  }),
  acting({
    verb: 'hold',
    summary: 'keep it back until it is released',
    states: ['routed', 'deferred'],
    options: { note: { type: 'string', help: 'why; it stands with the held recipient' } },
    act(options) {
      const note = textOption(options, 'note')
      return { kind: 'hold', rule: note === undefined ? 'operator' : `operator: ${note}` }
    },
  }),
  acting({
    verb: 'release',
    summary: 'let what is held go on, at once',
    states: ['held'],
    act: () => ({ kind: 'release' }),
  }),
  acting({
    verb: 'cancel',
    summary: 'take it out of the queue for good',
    details: 'Nobody is told, unless --report says so: then the sender is told that it failed.',
    states: ['routed', 'deferred', 'held'],
    options: { report: { type: 'boolean', help: 'report the failure to the sender' } },
    act: (options) => ({ kind: 'cancel', report: options['report'] === true }),
  }),
  acting({
    verb: 'reroute',
    summary: 'send it another way, at once',
    details:
      'The way stays until the recipient ends or is sent yet another way: mx:example.com, smtp:host:port or lmtp:host:port.',
    states: ['routed', 'deferred', 'held'],
    options: { via: { type: 'string', help: 'the way: mx:domain, smtp:host:port, lmtp:host:port' } },
    act(options) {
      const via = NextHop.safeParse(textOption(options, 'via'))
      if (!via.success) throw new UsageError('--via is mx:domain, smtp:host:port or lmtp:host:port')
      return { kind: 'reroute', via: via.data }
    },
  }),
  // Last, because the others begin with the same word.
  { name: 'queue', ...list },
]

interface Acting {
  verb: Act['kind']
  summary: string
  details?: string
  /** Of which recipients are meant where the call names no state. */
  states: NonNullable<QueueFilter['states']>
  options?: NonNullable<Command['options']>
  act(options: OptionValues): Act
}

function acting({ verb, summary, details = '', states, options: own = {}, act }: Acting): Command {
  return {
    name: `queue ${verb}`,
    takes: '[<queue-id>] [<recipient>]',
    summary,
    details: `${details}${details && '\n'}Names what it is about by a queue id, by options, or with --all. Without --state: ${states.join(', ')}.`,
    options: {
      ...own,
      ...filterOptions,
      all: { type: 'boolean', help: 'everything in these states' },
      'dry-run': { type: 'boolean', help: 'only show what it is about' },
    },
    async run(context) {
      const { bus, args, options } = context
      const what = act(options)
      const given = await filterOf(bus, args, options)
      const named = Object.keys(given).some((key) => key !== 'states')
      if (named === (options['all'] === true)) {
        throw new UsageError(`say which recipients, or --all for every one${named ? '; not both' : ''}`)
      }
      const rows = await rowsOf(context, { states, ...given }, MOST)
      if (options['dry-run'] === true) return { value: rows, text: `${listing(rows)}\n\n${rows.length} in all` }
      const summary = summaryOf(
        what,
        await actOnAll(rows, { ...context, act: what, progress: teller(context, rows.length) }),
      )
      // Who names one message means it.
      return rows.length === 0 && given.queueId !== undefined ? { ...summary, incomplete: true } : summary
    },
  }
}

function summaryOf(act: Act, outcomes: ReadonlyMap<Task, Outcome>): Answer {
  const results: Partial<Record<Outcome, number>> = {}
  for (const outcome of outcomes.values()) results[outcome] = (results[outcome] ?? 0) + 1
  const notDone = [...outcomes]
    .filter(([, outcome]) => outcome !== 'done' && outcome !== 'ended')
    .map(([{ queueId, n, forwardPath }, result]) => ({ queueId, n, forwardPath, result }))
  const counts = meanings.filter(([outcome]) => results[outcome]).map(([outcome, text]) => [results[outcome], text])
  const named = notDone.slice(0, MAX_NAMED)
  const rest = notDone.length > named.length ? `\n… and ${notDone.length - named.length} more` : ''
  const details = table(
    ['queue id', 'key', 'to', 'result'],
    named.map((one) => Object.values(one)),
  )
  return {
    value: { act: act.kind, recipients: outcomes.size, results, notDone },
    text: [
      outcomes.size === 0 ? 'nothing of that kind is in the queue' : table([act.kind, ''], counts),
      ...(notDone.length > 0 ? [`${details}${rest}`] : []),
    ].join('\n\n'),
    incomplete: notDone.length > 0,
  }
}

const meanings: readonly (readonly [Outcome, string])[] = [
  ['done', 'done'],
  ['ended', 'had ended before'],
  ['attempting', 'are with the next host right now; not done'],
  ['held', 'are held; release them first'],
  ['notHeld', 'are not held'],
  ['unknown', 'are not known to delivery'],
  ['unanswered', 'nobody answered for; whether it was done is not known'],
]

/** Says every second how far it is, where that takes long. */
function teller({ progress }: Pick<CommandContext, 'progress'>, all: number): (done: number) => void {
  let told = performance.now()
  return (done) => {
    if (all < TOLD_FROM || performance.now() - told < TOLD_EVERY_MS) return
    told = performance.now()
    progress(`${done} of ${all}`)
  }
}

async function rowsOf({ bus }: Pick<CommandContext, 'bus'>, filter: QueueFilter, limit: number) {
  const rows: QueuedRecipient[] = []
  for await (const { row } of bus.rows(listQueue, { filter, limit })) rows.push(row)
  return rows
}

function listing(rows: readonly QueuedRecipient[]): string {
  const header = ['queue id', 'key', 'age', 'state', 'attempts', 'next', 'from', 'to', 'site', 'reason']
  return table(
    header,
    rows.map(
      ({ queueId, n, acceptedAt, state, attempt, nextAttemptAt, reversePath, forwardPath, site, reason, via }) => [
        ...[queueId, n, age(acceptedAt), state, attempt, next(nextAttemptAt), path(reversePath), forwardPath],
        ...[via === undefined ? site : `${site} (${via})`, reason],
      ],
    ),
  )
}

/** What a status says, in two columns. */
function said(status: Status): [string, string] {
  switch (status.kind) {
    case 'deferred':
    case 'failed':
    case 'expired': {
      const { kind, status: code, reason, reply, mxHost } = status
      const until = kind === 'deferred' ? `, next ${status.nextAttemptAt}` : ''
      return [kind, `${code} ${reply ?? reason}${mxHost === undefined ? '' : ` (${mxHost})`}${until}`]
    }
    case 'relayed':
      return ['relayed', `${status.reply} (${status.mxHost})`]
    case 'held':
    case 'discarded':
      return [status.kind, status.rule]
    case 'released': {
      const way = status.via === undefined ? '' : ` via ${status.via}`
      return ['released', `by ${status.by}${way}${status.missing ? ', lost by the bus: custody makes it again' : ''}`]
    }
    case 'cancelled':
      return ['cancelled', `by ${status.by}`]
    case 'dead':
      return ['dead', `${status.stream}: ${status.reason}`]
    case 'delivered':
      return ['delivered', status.account]
    case 'routed':
      return ['routed', '']
  }
}

const path = (text: string): string => (text === '' ? '<>' : text)
const age = (at: string): string => span(Date.now() - Date.parse(at))
const next = (at: string | undefined): string => (at === undefined ? '' : span(Date.parse(at) - Date.now()))

/** Local parts are the receiver's, domains are anybody's. A recipient is chosen by what a person typed, so case does not count. */
const samePath = (one: string, other: string): boolean =>
  !RecipientKey.safeParse(other).success && one.toLowerCase() === other.toLowerCase()

function limitOf(options: OptionValues, usual: number, most: number): number {
  const text = textOption(options, 'limit')
  if (text === undefined) return usual
  const limit = /^\d{1,7}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > most) throw new UsageError(`--limit is a number from 1 to ${most}, not ${text}`)
  return limit
}
