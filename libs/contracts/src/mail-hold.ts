/** mail.hold — recipients held by an operator or a rule, with the whole task, until released or cancelled. */
import { z } from 'zod'

import { defineEvent } from './define.ts'
import { Timestamp } from './envelope.ts'
import { MailOut } from './mail-out.ts'
import { streams } from './streams.ts'
import { siteToken } from './subjects.ts'

export const MailHold = defineEvent({
  name: 'mail.hold',
  pattern: 'mail.hold.v1.{site}.{queueId}.{n}',
  stream: streams.hold,
  producers: ['delivery', 'router', 'console', 'custody'],
  consumers: [],
  purpose: 'A recipient held, with its whole task; operators read, release and cancel it by name.',
  schema: z.object({ task: MailOut.schema, heldAt: Timestamp, rule: z.string().max(200) }),
  subject: ({ task }) => `mail.hold.v1.${siteToken(task.site)}.${task.queueId}.${task.n}`,
  messageId: ({ task }) => `hld:${task.queueId}:${task.n}:${task.attempt}:${task.incarnation}`,
  queueId: ({ task }) => task.queueId,
})
export type MailHold = z.infer<typeof MailHold.schema>
