/**
 * The streams, and why each is bounded as it is. The resident provisioner creates exactly these.
 *
 * Limits are per stream only where a refused publisher can do something about it: MAIL_ACCEPTED turns into 452 at the
 * edge, MAIL_LOCAL pauses the router. MAIL_OUT holds schedules and must not be limited (a limit deletes queued mail
 * silently); the account's file limit bounds it.
 */
import type { StreamContract } from './define.ts'

const GIB = 1024 ** 3

const work = { sharded: false, retention: 'work', schedules: false, onePerSubject: false } as const
const kept = { sharded: false, retention: 'kept', schedules: false, onePerSubject: true, maxBytes: null } as const

export const streams = {
  accepted: {
    ...work,
    name: 'MAIL_ACCEPTED',
    subjects: ['mail.accepted.v1.>'],
    maxBytes: 2 * GIB,
    purpose: 'messages we answered 250 for, not yet routed',
  },
  local: {
    ...work,
    name: 'MAIL_LOCAL',
    subjects: ['mail.local.v1.>'],
    maxBytes: 2 * GIB,
    purpose: 'recipients routed to a mailbox of ours',
  },
  out: {
    ...work,
    name: 'MAIL_OUT',
    sharded: true,
    subjects: ['mail.out.v1.{shard}.q.>', 'mail.out.v1.{shard}.s.>', 'mail.out.v1.{shard}.x.>'],
    schedules: true,
    maxBytes: null,
    purpose: 'recipients routed to a remote site: work that can run now, and retries waiting for their time',
  },
  status: {
    ...work,
    name: 'MAIL_STATUS',
    subjects: ['mail.status.v1.>'],
    maxBytes: null,
    purpose: 'what became of recipients, not yet in the books of custody',
  },
  hold: {
    ...kept,
    name: 'MAIL_HOLD',
    subjects: ['mail.hold.v1.>'],
    purpose: 'recipients held by an operator or a rule',
  },
  dead: {
    ...kept,
    name: 'MAIL_DEAD',
    subjects: ['mail.dead.v1.>'],
    purpose: 'tasks that no service can handle, kept whole for an operator',
  },
} as const satisfies Record<string, StreamContract>

/** The stream's names on the server. */
export function streamNames(stream: StreamContract, shards: number): string[] {
  if (!stream.sharded) return [stream.name]
  return Array.from({ length: shards }, (_, shard) => `${stream.name}_${shard}`)
}
