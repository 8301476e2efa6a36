/** Copies a message to MAIL_DEAD. Only after this resolved may it be taken off its stream. */
import { createHash } from 'node:crypto'

import { MailDead } from '@postbus/contracts'
import type { z } from 'zod'

import type { Delivered } from './message.ts'
import type { Publisher } from './publish.ts'

type DeadReason = z.infer<typeof MailDead.schema>['reason']

const MAX_DETAIL = 4000

export async function copyToDead(
  message: Delivered,
  reason: DeadReason,
  detail: string,
  publisher: Publisher,
): Promise<void> {
  await publisher.publish(MailDead, {
    stream: message.stream,
    sequence: message.sequence,
    subject: message.subject,
    reason,
    detail: detail.slice(0, MAX_DETAIL),
    id: idOf(message),
    at: new Date().toISOString(),
    payload: Buffer.from(message.data).toString('base64'),
    headers: Object.fromEntries([...(message.headers ?? [])]),
  })
}

const TOKEN = /^[0-9A-Za-z]+$/

/** The queue id and recipient as the payload names them, where it can be read at all; else a hash that stays the same. */
function idOf({ data, subject }: Delivered): string {
  const hash = createHash('sha256').update(subject).update(data).digest('hex')
  const { queueId, n } = fieldsOf(data)
  return `${token(queueId) ?? hash.slice(0, 26)}.${token(n) ?? hash.slice(0, 16)}`
}

const token = (value: unknown): string | undefined =>
  typeof value === 'string' && value.length <= 64 && TOKEN.test(value) ? value : undefined

function fieldsOf(data: Uint8Array): { queueId?: unknown; n?: unknown } {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(data))
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
