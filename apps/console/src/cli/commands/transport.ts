/** postbus transport … */
import { RequestRefused } from '@postbus/bus'
import {
  addTransport,
  changeTransport,
  explainRoute,
  type ListedTransport,
  listTransports,
  removeTransport,
  type TransportAction,
  TransportTls,
} from '@postbus/contracts'
import type { z } from 'zod'

import { given, take, textOption, UsageError, type Command, type OptionValues } from '../command.ts'
import { choosePassword, passwordOptions } from '../password.ts'
import { facts, table } from '../table.ts'

const actionOptions = {
  smarthost: { type: 'string', help: 'host:port that takes the mail' },
  'mx-of': { type: 'string', help: 'domain:port: the MX hosts of this domain take the mail' },
  lmtp: { type: 'string', help: 'host:port of an LMTP server that takes the mail' },
  direct: { type: 'boolean', help: 'to the MX hosts of the domain, as without a rule' },
  discard: { type: 'boolean', help: 'off the queue; nobody is told' },
  hold: { type: 'string', help: 'kept for an operator, for this reason' },
  fail: { type: 'string', help: "returned to the sender: '5.1.6 the text'" },
  username: { type: 'string', help: 'user name at the smarthost' },
  'password-stdin': passwordOptions['password-stdin'],
  'ask-password': passwordOptions['ask-password'],
  password: passwordOptions.password,
} satisfies Command['options']

const matchOptions = {
  sender: { type: 'string', help: "only from this address, @domain, account, or <> for reports' null sender" },
} satisfies Command['options']

const policyOptions = {
  concurrency: { type: 'string', help: 'transactions at once' },
  'per-minute': { type: 'string', help: 'messages per minute' },
  'max-recipients': { type: 'string', help: 'recipients in one transaction' },
  'session-messages': { type: 'string', help: 'messages over one connection' },
  lifetime: { type: 'string', help: 'how long in the queue: 90m, 12h, 5d' },
  tls: { type: 'string', help: TransportTls.options.join(', ') },
  source: { type: 'string', help: 'pool of source addresses (DELIVERY_SOURCE_POOLS)' },
  helo: { type: 'string', help: 'our name in EHLO' },
} satisfies Command['options']

export const transportCommands: Command[] = [
  {
    name: 'transport add',
    takes: '<name> <domain>',
    summary: 'send mail to a domain another way, or with limits of its own',
    details:
      'The domain is example.com, .example.com for that and every subdomain, or * for all. The most specific rule decides: sender and\ndomain, sender, exact domain, longest suffix, *.',
    options: { ...matchOptions, ...actionOptions, ...policyOptions },
    async run({ bus, args, options }) {
      const [name, domain] = take(args, '<name>', '<domain>')
      const action = (await chosenAction(options)) ?? { kind: 'mx' }
      const match = { domain, ...given({ sender: textOption(options, 'sender') }) }
      const value = await bus.request(addTransport, { name, match, action, policy: withoutNull(policyOf(options)) })
      return { value, text: shown(value) }
    },
  },
  {
    name: 'transport list',
    takes: '',
    summary: 'every transport rule',
    async run({ bus, args }) {
      take(args)
      const all: ListedTransport[] = []
      for (let more = true; more;) {
        const page = await bus.request(listTransports, given({ after: all.at(-1)?.name }))
        all.push(...page.transports)
        more = page.more
      }
      const rows = all.map((rule) => [rule.name, rule.match.domain, rule.match.sender, wayOf(rule), settingsOf(rule)])
      return { value: all, text: table(['name', 'domain', 'sender', 'way', 'settings'], rows) }
    },
  },
  {
    name: 'transport show',
    takes: '<name>',
    summary: 'one transport rule',
    async run({ bus, args }) {
      const [name] = take(args, '<name>')
      const [value] = (await bus.request(listTransports, { name })).transports
      if (value === undefined) throw new RequestRefused('noSuchTransport', `name: ${name} is no transport rule`)
      return { value, text: shown(value) }
    },
  },
  {
    name: 'transport change',
    takes: '<name>',
    summary: 'change where a rule sends mail or its limits',
    details:
      'What is not named stays. none takes a setting away; a smarthost keeps its password while host and user name stay.',
    options: { ...actionOptions, ...policyOptions },
    async run({ bus, args, options }) {
      const [name] = take(args, '<name>')
      const action = await chosenAction(options)
      const policy = policyOf(options)
      const value = await bus.request(changeTransport, {
        name,
        ...given({ action }),
        ...(Object.keys(policy).length > 0 && { policy }),
      })
      return { value, text: shown(value) }
    },
  },
  {
    name: 'transport remove',
    takes: '<name>',
    summary: 'remove a transport rule',
    async run({ bus, args }) {
      const [name] = take(args, '<name>')
      const value = await bus.request(removeTransport, { name })
      return { value, text: `removed ${value.name}` }
    },
  },
  {
    name: 'transport test',
    takes: '<address>',
    summary: 'which rule is about an address, and where its mail would go now',
    options: {
      sender: { type: 'string', help: 'as if from this address; without it as if a report' },
      account: { type: 'string', help: 'as if submitted by this account' },
    },
    async run({ bus, args, options }) {
      const [recipient] = take(args, '<address>')
      const about = given({ sender: textOption(options, 'sender'), account: textOption(options, 'account') })
      const value = await bus.request(explainRoute, { recipient, ...about })
      return { value, text: explained(value) }
    },
  },
]

function explained({
  rule,
  way,
  key,
  tls,
  username,
  policy,
  hosts,
  instead,
}: z.output<typeof explainRoute.output>): string {
  const { status, reason } = instead ?? {}
  const head = facts({
    ...{ rule: rule ?? 'none', way, tls, limits: Object.entries(policy).map(([name, value]) => `${name} ${value}`) },
    ...{ 'counted by': key, 'logs in as': username, instead: [status, reason].filter(Boolean).join(' ') },
  })
  if (hosts.length === 0) return head
  return `${head}\n\n${table(
    ['host', 'address', 'port'],
    hosts.map(({ name, address, port }) => [name, address, port]),
  )}`
}

const shown = (rule: ListedTransport): string =>
  facts({
    ...{ name: rule.name, domain: rule.match.domain, sender: rule.match.sender, way: wayOf(rule) },
    ...{ settings: settingsOf(rule), since: rule.createdAt },
  })

const settingsOf = ({ policy }: ListedTransport): string =>
  Object.entries(policy)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')

function wayOf({ action }: ListedTransport): string {
  switch (action.kind) {
    case 'mx':
      return 'direct'
    case 'smarthost': {
      const where = `${action.mx ? 'mx-of' : 'smarthost'} ${place(action)}`
      return action.username === undefined ? where : `${where} as ${action.username}`
    }
    case 'lmtp':
      return `lmtp ${place(action)}`
    case 'discard':
      return 'discard'
    case 'hold':
      return `hold: ${action.reason}`
    case 'fail':
      return `fail: ${action.status} ${action.reason}`
  }
}

const place = ({ host, port }: { host: string; port: number }): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

async function chosenAction(options: OptionValues): Promise<TransportAction | undefined> {
  const ways = ['smarthost', 'mx-of', 'lmtp', 'direct', 'discard', 'hold', 'fail'].filter((way) => options[way])
  const [way, more] = ways
  if (more !== undefined) throw new UsageError(`only one of --${ways.join(', --')}`)
  const username = textOption(options, 'username')
  const { password } = await choosePassword(options, false)
  const smarthost = way === 'smarthost' || way === 'mx-of'
  if (!smarthost && (username !== undefined || password !== undefined)) {
    throw new UsageError('credentials are for --smarthost and --mx-of')
  }
  if (way === undefined) return undefined
  const text = textOption(options, way) ?? ''
  switch (way) {
    case 'smarthost':
    case 'mx-of':
      return {
        kind: 'smarthost',
        ...hostPort(way, text),
        ...(way === 'mx-of' && { mx: true }),
        ...given({ username, password }),
      }
    case 'lmtp':
      return { kind: 'lmtp', ...hostPort(way, text) }
    case 'discard':
      return { kind: 'discard' }
    case 'hold':
      return { kind: 'hold', reason: text }
    case 'fail': {
      const [, subject, detail, reason] = /^5\.(\d{1,3})\.(\d{1,3}) (.+)$/.exec(text) ?? []
      if (reason === undefined)
        throw new UsageError(`--fail: a status and a text, like '5.1.6 moved away'; not ${text}`)
      return { kind: 'fail', status: `5.${Number(subject)}.${Number(detail)}`, reason }
    }
    default:
      return { kind: 'mx' }
  }
}

function hostPort(option: string, text: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined) throw new UsageError(`--${option}: host:port, or [address]:port for IPv6; not ${text}`)
  return { host, port: Number(port) }
}

type PolicyChanges = NonNullable<z.input<typeof changeTransport.input>['policy']>

/** Null where the word `none` takes a setting away. */
function policyOf(options: OptionValues): PolicyChanges {
  return given({
    concurrency: countOption(options, 'concurrency'),
    perMinute: countOption(options, 'per-minute'),
    maxRecipients: countOption(options, 'max-recipients'),
    sessionMessages: countOption(options, 'session-messages'),
    lifetimeS: durationOption(options, 'lifetime'),
    tls: tlsOption(options),
    source: wordOption(options, 'source'),
    helo: wordOption(options, 'helo'),
  })
}

function withoutNull(changes: PolicyChanges): z.input<typeof addTransport.input>['policy'] {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== null))
}

function wordOption(options: OptionValues, name: string): string | null | undefined {
  const text = textOption(options, name)
  return text === 'none' ? null : text
}

function countOption(options: OptionValues, name: string): number | null | undefined {
  const text = wordOption(options, name)
  if (text === undefined || text === null) return text
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${name}: a number, or none; not ${text}`)
  return Number(text)
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

function durationOption(options: OptionValues, name: string): number | null | undefined {
  const text = wordOption(options, name)
  if (text === undefined || text === null) return text
  const [, digits, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (digits === undefined) throw new UsageError(`--${name}: 90m, 12h, 5d, or none; not ${text}`)
  return Number(digits) * (SECONDS[unit] ?? 1)
}

/** `none` is a way of TLS; `default` takes the setting away. */
function tlsOption(options: OptionValues): TransportTls | null | undefined {
  const text = textOption(options, 'tls')
  if (text === undefined) return undefined
  if (text === 'default') return null
  const tls = TransportTls.safeParse(text)
  if (!tls.success) throw new UsageError(`--tls: ${TransportTls.options.join(', ')}, or default; not ${text}`)
  return tls.data
}
