/**
 * Transport rules: where outgoing mail goes other than to the MX hosts of its domain, and how. Written by operators, kept by
 * the directory, obeyed by delivery.
 *
 * STANDARDS  RFC 5321 §5 (what a rule replaces), RFC 4954 (credentials), RFC 8314 (implicit TLS), RFC 2033 (LMTP)
 */
import { z } from 'zod'

import { defineRequest } from './define.ts'
import { AccountId, EnhancedStatus, ForwardPath, ReversePath, Timestamp } from './envelope.ts'
import { NextHop } from './mail-out.ts'

/** What an operator calls a rule; statuses, logs and reports name it. */
export const TransportName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)

/** Which recipients a rule is about: both halves must hold. */
export const TransportMatch = z.object({
  /** `example.com`; `.example.com`: that and every subdomain; `*`: every domain. Lower case, A-labels. */
  domain: z.string().min(1).max(256),
  /** A reverse-path, `@domain`, `<>` for the null reverse-path, or the account that submitted the message. */
  sender: z.string().min(1).max(1024).optional(),
})
export type TransportMatch = z.infer<typeof TransportMatch>

/** A host name or an IP address, without brackets. */
const HostName = z
  .string()
  .max(255)
  .regex(/^[^\s[\]/@]+$/)
const Port = z.int().min(1).max(65_535)

const Smarthost = z.object({
  kind: z.literal('smarthost'),
  host: HostName,
  port: Port,
  /** The MX hosts of `host` instead of its own addresses. */
  mx: z.boolean().optional(),
  username: z.string().min(1).max(255).optional(),
})
const others = [
  /** The MX hosts of the domain, as without a rule; for its policy. */
  z.object({ kind: z.literal('mx') }),
  z.object({ kind: z.literal('lmtp'), host: HostName, port: Port }),
  /** Taken off the queue; nobody is told. */
  z.object({ kind: z.literal('discard') }),
  z.object({ kind: z.literal('hold'), reason: z.string().min(1).max(100) }),
  z.object({
    kind: z.literal('fail'),
    status: EnhancedStatus.refine((status) => status.startsWith('5.'), { error: 'must be 5.y.z' }),
    reason: z.string().min(1).max(500),
  }),
] as const

export const TransportAction = z.discriminatedUnion('kind', [
  Smarthost.extend({ password: z.string().min(1).max(1024).optional() }),
  ...others,
])
export type TransportAction = z.infer<typeof TransportAction>

/**
 * `opportunistic`: encrypted where the peer can, unverified, else in the clear. `required`: a verified certificate or no
 * session. `implicit`: the same from the first octet (port 465). `none`: in the clear.
 */
export const TransportTls = z.enum(['opportunistic', 'required', 'implicit', 'none'])
export type TransportTls = z.infer<typeof TransportTls>

/** Where something is absent, delivery's settings hold. */
export const TransportPolicy = z.object({
  /** Transactions at once. */
  concurrency: z.int().min(1).max(1000).optional(),
  /** Messages handed over per minute. */
  perMinute: z.int().min(1).max(1_000_000).optional(),
  /** Recipients in one transaction. */
  maxRecipients: z.int().min(1).max(1000).optional(),
  /** Messages over one connection. */
  sessionMessages: z.int().min(1).max(10_000).optional(),
  /** How long a recipient may wait in the queue, from the acceptance of its message — RFC 5321 §4.5.4.1. */
  lifetimeS: z
    .int()
    .min(60)
    .max(30 * 86_400)
    .optional(),
  /** Default: `required` with credentials, else `opportunistic`. */
  tls: TransportTls.optional(),
  /** One of delivery's pools of source addresses. */
  source: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/)
    .optional(),
  /** Our name in EHLO. */
  helo: z
    .string()
    .max(255)
    .regex(/^[a-z0-9.[\]:-]+$/i)
    .optional(),
})
export type TransportPolicy = z.infer<typeof TransportPolicy>

export const Transport = z.object({
  name: TransportName,
  match: TransportMatch,
  action: TransportAction,
  policy: TransportPolicy,
})
export type Transport = z.infer<typeof Transport>

/** As operators see it: nobody but delivery ever reads a password. */
export const ListedTransport = Transport.extend({
  action: z.discriminatedUnion('kind', [Smarthost.extend({ hasPassword: z.boolean() }), ...others]),
  createdAt: Timestamp,
})
export type ListedTransport = z.infer<typeof ListedTransport>

/** More rules than this are refused. */
export const MAX_TRANSPORTS = 10_000

const Page = z.object({
  /** Names after this one. */
  after: z.string().max(63).optional(),
  limit: z.int().min(1).max(200).default(200),
})

export const transports = defineRequest({
  name: 'directory.transports',
  answerer: 'directory',
  askers: ['delivery'],
  purpose:
    'Every transport rule with its credentials, by name, in pages; of one state while the revision stays the same.',
  input: Page,
  output: z.object({ transports: z.array(Transport), more: z.boolean(), revision: z.int() }),
})

const operators = { answerer: 'directory', askers: ['operator', 'console'], timeoutMs: 10_000 } as const

export const addTransport = defineRequest({
  ...operators,
  name: 'directory.addTransport',
  purpose: 'Add a transport rule.',
  refusals: ['exists', 'invalid'],
  input: Transport.extend({ policy: TransportPolicy.default({}) }),
  output: ListedTransport,
})

const { shape: setting } = TransportPolicy

/** What is not named stays; null takes a setting away. */
const PolicyChanges = z.object({
  concurrency: setting.concurrency.nullable(),
  perMinute: setting.perMinute.nullable(),
  maxRecipients: setting.maxRecipients.nullable(),
  sessionMessages: setting.sessionMessages.nullable(),
  lifetimeS: setting.lifetimeS.nullable(),
  tls: setting.tls.nullable(),
  source: setting.source.nullable(),
  helo: setting.helo.nullable(),
})

export const changeTransport = defineRequest({
  ...operators,
  name: 'directory.changeTransport',
  purpose: 'Change a transport rule: its match or action as a whole, settings of its policy one by one.',
  refusals: ['exists', 'invalid', 'noSuchTransport'],
  input: z.object({
    name: TransportName,
    match: TransportMatch.optional(),
    /** A smarthost of the same host and user name keeps its password unless one is given. */
    action: TransportAction.optional(),
    policy: PolicyChanges.optional(),
  }),
  output: ListedTransport,
})

export const removeTransport = defineRequest({
  ...operators,
  name: 'directory.removeTransport',
  purpose: 'Remove a transport rule.',
  refusals: ['noSuchTransport'],
  input: z.object({ name: TransportName }),
  output: ListedTransport,
})

export const listTransports = defineRequest({
  ...operators,
  name: 'directory.listTransports',
  purpose: 'Transport rules by name, without passwords.',
  input: z.object({ /** Only this one. */ name: TransportName.optional(), ...Page.shape }),
  output: z.object({ transports: z.array(ListedTransport), more: z.boolean() }),
})

export const explainRoute = defineRequest({
  name: 'delivery.route',
  answerer: 'delivery',
  askers: ['operator', 'console'],
  purpose: 'Where mail to an address would go now, and which rule says so. Nothing is sent.',
  timeoutMs: 30_000,
  refusals: ['invalid'],
  input: z.object({
    recipient: ForwardPath,
    sender: ReversePath.default(''),
    account: AccountId.optional(),
    via: NextHop.optional(),
  }),
  output: z.object({
    /** Absent: no rule is about it. */
    rule: TransportName.optional(),
    way: z.enum(['mx', 'hosts', 'lmtp', 'discard', 'hold', 'fail']),
    tls: TransportTls,
    /** The user name given to the next hop. */
    username: z.string().optional(),
    /** Limits and trouble are shared by everything with this key. */
    key: z.string(),
    policy: TransportPolicy,
    /** In the order they would be tried. */
    hosts: z.array(z.object({ name: z.string(), address: z.string(), port: Port })),
    /** Why there is no host to try, or what the rule says instead. */
    instead: z.object({ status: EnhancedStatus.optional(), reason: z.string() }).optional(),
  }),
})
