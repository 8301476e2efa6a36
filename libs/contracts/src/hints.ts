/** Hints: sent once, perhaps lost. A reader that misses one finds out by asking again. */
import { z } from 'zod'

import { defineHint } from './define.ts'
import { AccountId, QueueId } from './envelope.ts'
import { bucketOf } from './subjects.ts'

export const MailboxChanged = defineHint({
  name: 'mailbox.changed',
  pattern: 'mailbox.changed.v1.{account}',
  producers: ['mailstore'],
  consumers: ['imap', 'console'],
  purpose: 'Mailboxes of one account changed; sessions compare the MODSEQ they know.',
  schema: z.object({
    account: AccountId,
    mailboxes: z.array(z.object({ mailbox: z.int(), highestModseq: z.int(), uidNext: z.int() })),
  }),
  subject: ({ account }) => `mailbox.changed.v1.${account}`,
})
export type MailboxChanged = z.infer<typeof MailboxChanged.schema>

export const CustodyChanged = defineHint({
  name: 'custody.changed',
  pattern: 'custody.changed.v1.{bucket}',
  producers: ['custody'],
  consumers: ['console', 'operator'],
  purpose: 'Recipients of one message moved on in the books.',
  schema: z.object({ queueId: QueueId }),
  subject: ({ queueId }) => `custody.changed.v1.${bucketOf(queueId)}`,
})
export type CustodyChanged = z.infer<typeof CustodyChanged.schema>

export const DirectoryChanged = defineHint({
  name: 'directory.changed',
  pattern: 'directory.changed.v1',
  producers: ['directory'],
  consumers: ['submission', 'inbound', 'router', 'mailstore', 'imap', 'pop3', 'delivery'],
  purpose: 'Something in the directory changed; whoever keeps answers of it forgets them.',
  schema: z.object({ revision: z.int() }),
  subject: () => 'directory.changed.v1',
})
export type DirectoryChanged = z.infer<typeof DirectoryChanged.schema>

export const DeliveryReplica = defineHint({
  name: 'delivery.replica',
  pattern: 'delivery.replica.v1',
  producers: ['delivery'],
  consumers: ['delivery'],
  purpose: 'A replica of delivery is alive, or leaves; the others work out which lanes each of them should own.',
  schema: z.object({ replica: z.string().min(1).max(64), leaving: z.boolean().default(false) }),
  subject: () => 'delivery.replica.v1',
})
export type DeliveryReplica = z.infer<typeof DeliveryReplica.schema>
