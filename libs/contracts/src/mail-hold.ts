/** mail.hold — recipients held by an operator or a rule, with the whole task, until released or cancelled. */
import { z } from 'zod'

import { defineEvent } from './define.ts'
import { Timestamp } from './envelope.ts'
import { MailOut, type TaskPlace } from './mail-out.ts'
import { streams } from './streams.ts'
import { siteToken } from './subjects.ts'

export const holdSubject = ({ site, queueId, n }: Omit<TaskPlace, 'shard'>): string =>
  `mail.hold.v1.${siteToken(site)}.${queueId}.${n}`

export const MailHold = defineEvent({
  name: 'mail.hold',
  pattern: 'mail.hold.v1.{site}.{queueId}.{n}',
  stream: streams.hold,
  producers: ['delivery', 'router', 'console', 'custody'],
  consumers: [],
  lookedUpBy: ['delivery'],
  // The owner of the task's lane: a release and a cancellation end there.
  removedBy: ['delivery'],
  purpose: 'A recipient held, with its whole task; operators read, release and cancel it by name.',
  schema: z.object({ task: MailOut.schema, heldAt: Timestamp, rule: z.string().max(200) }),
  subject: ({ task }) => holdSubject(task),
  messageId: ({ task }) => `hld:${task.queueId}:${task.n}:${task.attempt}:${task.incarnation}`,
  queueId: ({ task }) => task.queueId,
})
export type MailHold = z.infer<typeof MailHold.schema>
