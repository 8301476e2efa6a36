/**
 * NAME
 *   mail.out — hand one message to the next hop of one remote recipient
 * PRODUCERS
 *   router (first attempt), delivery (retries, as scheduled messages), custody (what the bus lost)
 * CONSUMERS
 *   delivery, one durable consumer per lane
 * DELIVERY
 *   At least once. Same queueId, n, attempt, incarnation and spills: same message.
 *
 * Three subject families share the stream: `q` is work that can run now, `s` a schedule whose due time the server
 * keeps and which fires into the `q` subject of the same task, `x` a short-lived tombstone that cancels a schedule.
 */
import { z } from 'zod'

import { defineEvent } from './define.ts'
import { AccountId, Timestamp } from './envelope.ts'
import { streams } from './streams.ts'
import { laneOf, siteToken } from './subjects.ts'
import { Task } from './task.ts'

/**
 * Where mail goes other than to the MX hosts of its own domain: `mx:<domain>` (those of another), `smtp:<host>:<port>`,
 * `lmtp:<host>:<port>`. An IPv6 address stands in brackets.
 */
export const NextHop = z
  .string()
  .max(300)
  .regex(/^(?:mx:[^\s:[\]]+|(?:smtp|lmtp):(?:\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5})$/)
export type NextHop = z.infer<typeof NextHop>

const schema = z.object({
  ...Task.shape,
  /** The routing domain (A-label, lower case) or address literal this recipient goes to. */
  site: z.string().min(1).max(255),
  shard: z.int().nonnegative(),
  /** 1 is the first. */
  attempt: z.int().min(1),
  /** How often it was tried before, where that is not one less: what an operator decides takes a number of its own. */
  tries: z.int().nonnegative().optional(),
  firstAttemptAt: Timestamp.optional(),
  /** After this the recipient has expired — RFC 5321 §4.5.4.1. */
  expiresAt: Timestamp,
  /** The peer's last reply, kept for the report. */
  lastReply: z.string().max(2000).optional(),
  /** Whose turn it is inside a site: the account that submitted it. Without one the reverse-path counts. */
  submitter: AccountId.optional(),
  /** An operator sent it another way than its site's own. It keeps its site, and so its lane. */
  via: NextHop.optional(),
  /** An operator let it go on: no rule holds it again. */
  released: z.literal(true).optional(),
  /** How often it was put back without an attempt because its site had no room. Part of its message id. */
  spills: z.int().nonnegative().default(0),
})
export type MailOut = z.infer<typeof schema>

const version = ({ queueId, n, attempt, incarnation, spills }: MailOut): string =>
  `${queueId}:${n}:${attempt}:${incarnation}${spills === 0 ? '' : `:${spills}`}`

/** What the subjects of a task are made of. */
export type TaskPlace = Pick<MailOut, 'shard' | 'site' | 'queueId' | 'n'>

const place = (family: 'q' | 's', { shard, site, queueId, n }: TaskPlace): string =>
  `mail.out.v1.${shard}.${family}.${laneOf(site)}.${siteToken(site)}.${queueId}.${n}`

export const workSubject = (task: TaskPlace): string => place('q', task)
export const scheduleSubject = (task: TaskPlace): string => place('s', task)

export const MailOut = defineEvent({
  name: 'mail.out',
  pattern: 'mail.out.v1.{shard}.q.{lane}.{site}.{queueId}.{n}',
  stream: streams.out,
  producers: ['router', 'delivery', 'custody'],
  newWorkOf: ['router', 'custody'],
  consumers: [{ party: 'delivery', durable: 'lane-{lane}', filter: 'mail.out.v1.{shard}.q.{lane}.>' }],
  lookedUpBy: ['delivery'],
  purpose: 'Hand one message to the next hop of one remote recipient, now.',
  schema,
  subject: workSubject,
  messageId: (task) => `out:${version(task)}`,
  queueId: ({ queueId }) => queueId,
})

/** Where a retry waits: published with a schedule, it fires into the task's work subject when due. */
export const MailOutLater = defineEvent({
  name: 'mail.out (later)',
  pattern: 'mail.out.v1.{shard}.s.{lane}.{site}.{queueId}.{n}',
  stream: streams.out,
  producers: ['delivery', 'custody'],
  consumers: [],
  lookedUpBy: ['delivery'],
  purpose: 'The same task at its next attempt, kept by the server until it is due.',
  schema,
  subject: scheduleSubject,
  messageId: (task) => `ret:${version(task)}`,
  queueId: ({ queueId }) => queueId,
})

/** Published in the place of a schedule that it cancels. Nobody reads it; it goes by itself. */
export const MailOutCancelled = defineEvent({
  name: 'mail.out (cancelled)',
  pattern: 'mail.out.v1.{shard}.x.{queueId}.{n}',
  stream: streams.out,
  producers: ['delivery'],
  consumers: [],
  ttlSeconds: 60,
  purpose: 'The tombstone of a schedule, which the server removes in the same step.',
  schema: schema.pick({ queueId: true, n: true, shard: true, attempt: true, incarnation: true }),
  subject: ({ shard, queueId, n }) => `mail.out.v1.${shard}.x.${queueId}.${n}`,
  messageId: ({ queueId, n, attempt, incarnation }) => `can:${queueId}:${n}:${attempt}:${incarnation}`,
  queueId: ({ queueId }) => queueId,
})
