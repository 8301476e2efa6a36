/** Tasks for tests. */
import { MailOut, QueueId, recipientKey } from '@postbus/contracts'

export const queueId = QueueId.parse('01J9ZK3V8Q6X4T2M7N5R1C0B9A')

export const time = (minutes: number): string => new Date(Date.UTC(2026, 0, 5, 10, minutes)).toISOString()

export function taskTo(forwardPath: string, changes: object = {}): MailOut {
  return MailOut.schema.parse({
    queueId,
    incarnation: 0,
    acceptedAt: time(0),
    origin: 'submission',
    size: 100,
    smtputf8: false,
    requireTls: false,
    n: recipientKey(forwardPath, forwardPath),
    reversePath: 'smith@example.org',
    original: { forwardPath },
    forwardPath,
    site: 'far.test',
    shard: 0,
    attempt: 1,
    expiresAt: time(5 * 24 * 60),
    ...changes,
  })
}
