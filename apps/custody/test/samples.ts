/** Messages and statuses for tests. */
import {
  entryOf,
  type FinalRecipient,
  MailAccepted,
  QueueId,
  recipientKey,
  type RecipientKey,
  Status,
} from '@postbus/contracts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export const queueIdOf = (number: number): QueueId =>
  QueueId.parse(`01J9ZK3V8Q6X4T2M7N5R1C${[3, 2, 1, 0].map((place) => ALPHABET[(number >> (5 * place)) & 31]).join('')}`)

export const time = (minutes: number): string => new Date(Date.UTC(2026, 0, 5, 10, minutes)).toISOString()

export function acceptedMessage(queueId: QueueId, originals: string[], changes: object = {}): MailAccepted {
  return MailAccepted.schema.parse({
    queueId,
    incarnation: 0,
    acceptedAt: time(0),
    origin: 'submission',
    size: 1000,
    smtputf8: false,
    requireTls: false,
    messageId: '<a@example.org>',
    envelope: {
      reversePath: 'smith@example.org',
      recipients: originals.map((forwardPath) => ({ forwardPath })),
      ...changes,
    },
  })
}

type Destination = FinalRecipient['destination']

export const local: Destination = { kind: 'local', account: 'jones00000000' }
export const remoteAt = (site: string): Destination => ({
  ...{ kind: 'remote', site, shard: 0, expiresAt: time(60 * 24 * 5) },
})
export const remote = remoteAt('far.test')
export const ended: Destination = { kind: 'ended' }

export const keyOf = (name: string): RecipientKey => recipientKey('original', name)

export const finalOf = (name: string, destination: Destination, reversePath = 'smith@example.org'): FinalRecipient => ({
  n: keyOf(name),
  forwardPath: `${name}@example.org`,
  reversePath,
  destination,
})

export interface RoutedFacts {
  original?: number
  page?: number
  pages?: number
  incarnation?: number
  at?: string
}

/** The `routed` of one original recipient, or one page of it, as the router writes it. */
export function routedOf(
  accepted: MailAccepted,
  recipients: FinalRecipient[],
  { original = 0, page = 1, pages = 1, incarnation = 0, at = time(1) }: RoutedFacts = {},
): Status {
  return Status.parse({
    kind: 'routed',
    queueId: accepted.queueId,
    incarnation,
    at,
    original,
    originals: accepted.envelope.recipients.length,
    page,
    pages,
    ...(page === 1 && { recipient: accepted.envelope.recipients[original] }),
    ...(page === 1 && original === 0 && { message: { ...entryOf(accepted), incarnation } }),
    recipients,
  })
}

export function statusOf(queueId: QueueId, name: string, kind: Status['kind'], changes: object = {}): Status {
  const details: Partial<Record<Status['kind'], object>> = {
    delivered: { account: 'jones00000000' },
    relayed: { mxHost: 'mx.far.test', reply: '250 ok', dsn: false },
    deferred: { status: '4.2.0', reason: 'try later', nextAttemptAt: time(30) },
    failed: { status: '5.1.1', reason: 'no such mailbox' },
    expired: { status: '4.4.7', reason: 'too late' },
    discarded: { rule: 'noreply' },
    held: { rule: 'frozen', site: 'far.test' },
    released: { by: 'ann' },
    cancelled: { by: 'ann' },
    dead: { stream: 'MAIL_LOCAL', reason: 'crash' },
  }
  return Status.parse({ kind, queueId, incarnation: 0, at: time(2), n: keyOf(name), ...details[kind], ...changes })
}
