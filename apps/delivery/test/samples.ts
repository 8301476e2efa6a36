/** Tasks for tests. */
import { MailAccepted, MailOut, QueueId, recipientKey } from '@postbus/contracts'
import type { SpoolWriter } from '@postbus/spool'

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

/** A message of a user of ours, in the spool. */
export async function putMessage(writer: Pick<SpoolWriter, 'put'>, id: QueueId, text: string): Promise<void> {
  async function* octets(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text)
  }
  await writer.put(id, octets(), (size) =>
    MailAccepted.schema.parse({
      ...{ queueId: id, incarnation: 0, acceptedAt: new Date().toISOString(), origin: 'submission', size },
      ...{ smtputf8: false, requireTls: false },
      envelope: { reversePath: 'smith@example.org', recipients: [{ forwardPath: 'x@far.test' }] },
    }),
  )
}
