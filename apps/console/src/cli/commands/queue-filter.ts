/** Which queued recipients a command is about: from its arguments and options to the filter that custody understands. */
import type { Bus } from '@postbus/bus'
import { AccountId, listAccounts, QueueFilter, QueueId, RecipientKey } from '@postbus/contracts'

import { type Command, given, listOption, type OptionValues, textOption, UsageError } from '../command.ts'

export const filterOptions = {
  site: { type: 'string', help: 'to this domain; .example.com includes its subdomains' },
  sender: { type: 'string', help: "from this address, or @domain; '<>' is the null reverse-path" },
  recipient: { type: 'string', help: 'to this address, or @domain' },
  account: { type: 'string', help: 'submitted by this account, by id or address' },
  state: { type: 'string', multiple: true, help: 'routed, deferred, held or dead; repeat for more' },
  'older-than': { type: 'string', help: 'accepted longer ago than 90s, 30m, 2h, 3d' },
  'younger-than': { type: 'string', help: 'accepted since' },
  reason: { type: 'string', help: 'these words are in the reason or the reply' },
} satisfies Command['options']

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 24 * 3_600_000 } as const

/** @returns the filter, as far as the call gives one: `{}` is everything */
export async function filterOf(bus: Bus, args: readonly string[], options: OptionValues): Promise<QueueFilter> {
  const [id, recipient] = args
  const key = RecipientKey.safeParse(recipient)
  if (recipient !== undefined && textOption(options, 'recipient') !== undefined) {
    throw new UsageError('the recipient stands after the queue id or in --recipient, not in both')
  }
  return QueueFilter.parse(
    given({
      queueId: id === undefined ? undefined : queueIdOf(id),
      n: key.data,
      recipient: key.success ? undefined : (recipient ?? textOption(options, 'recipient')),
      site: textOption(options, 'site'),
      sender: textOption(options, 'sender'),
      account: await accountOf(bus, textOption(options, 'account')),
      states: statesOf(options),
      before: timeOf(options, 'older-than'),
      after: timeOf(options, 'younger-than'),
      reason: textOption(options, 'reason'),
    }),
  )
}

export function queueIdOf(text: string): QueueId {
  const queueId = QueueId.safeParse(text.toUpperCase())
  if (queueId.success) return queueId.data
  throw new UsageError(`a queue id has 26 letters and digits, as the 250 reply names it; not ${text}`)
}

async function accountOf(bus: Bus, text: string | undefined): Promise<AccountId | undefined> {
  if (text === undefined || !text.includes('@')) return text
  const [account] = (await bus.request(listAccounts, { address: text })).accounts
  if (account === undefined) throw new UsageError(`--account: ${text} is no account`)
  return account.account
}

function statesOf(options: OptionValues): QueueFilter['states'] {
  const texts = listOption(options, 'state')
  if (texts === undefined) return undefined
  const states = QueueFilter.shape.states.safeParse(texts)
  if (!states.success) throw new UsageError(`--state is routed, deferred, held or dead; not ${texts.join(', ')}`)
  return states.data
}

/** The moment so long ago, as `2h` in this option. */
export function timeOf(options: OptionValues, name: string): string | undefined {
  const text = textOption(options, name)
  if (text === undefined) return undefined
  const [, digits, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const unitMs = Object.entries(UNITS_MS).find(([letter]) => letter === unit)?.[1]
  if (digits === undefined || unitMs === undefined) {
    throw new UsageError(`--${name}: a number with s, m, h or d; not ${text}`)
  }
  return new Date(Date.now() - Number(digits) * unitMs).toISOString()
}
