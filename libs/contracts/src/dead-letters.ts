/**
 * What operators ask custody about tasks that no service could handle. Only the leader of the books answers: it alone may publish
 * on every subject and write what became of a recipient.
 */
import { z } from 'zod'

import { RecipientState } from './custody.ts'
import { defineRequest, defineRows } from './define.ts'
import { ForwardPath, QueueId, RecipientKey, ReversePath, Timestamp } from './envelope.ts'
import { MailDead } from './mail-dead.ts'

/** As in the subject of mail.dead: `<queueId>.<n>`, or hashes in place of what could not be read. */
export const DeadLetterId = MailDead.schema.shape.id

const { stream, sequence, reason, detail, subject, headers } = MailDead.schema.shape

/** A task set aside: a copy in MAIL_DEAD, a recipient that the books have as dead, or both. */
export const DeadLetter = z.object({
  id: DeadLetterId,
  /** Known to the books under this queue id. */
  queueId: QueueId.optional(),
  n: RecipientKey.optional(),
  reversePath: ReversePath.optional(),
  forwardPath: ForwardPath.optional(),
  /** What the books say of the recipient. */
  state: RecipientState.optional(),
  /** None: the bus lost the copy; the books can still make the task again. */
  copies: z.array(z.object({ stream, sequence, reason, detail, subject, at: Timestamp })),
})
export type DeadLetter = z.infer<typeof DeadLetter>

const askers = ['operator', 'console'] as const

export const listDead = defineRows({
  name: 'custody.dead',
  answerer: 'custody',
  askers,
  purpose: 'Tasks set aside, and recipients that are dead in the books.',
  input: z.object({ limit: z.int().min(1).max(100_000).default(1000) }),
  row: DeadLetter,
})

/** Octets of a payload that are shown. */
export const MAX_SHOWN_PAYLOAD = 32 * 1024

export const showDead = defineRequest({
  name: 'custody.deadLetter',
  answerer: 'custody',
  askers,
  refusals: ['noSuchLetter'],
  purpose: 'One task set aside, with what was in it.',
  input: z.object({ id: DeadLetterId }),
  output: z.object({
    letter: DeadLetter,
    /** In the order of the letter's copies; text, its beginning where it is long. */
    contents: z.array(z.object({ headers, payload: z.string() })),
  }),
})

export const DeadAct = z.discriminatedUnion('kind', [
  /** Once more: the task is made again from the books, under a new incarnation. */
  z.object({ kind: z.literal('retry') }),
  /** The recipient ends here: reported to the sender as failed, or cancelled without a word. */
  z.object({ kind: z.literal('drop'), report: z.boolean() }),
])
export type DeadAct = z.infer<typeof DeadAct>

export const DeadResult = z.enum([
  'done',
  /** Its recipient had ended, or its message was routed, by another copy: only what was set aside is taken away. */
  'ended',
  /** No such letter. */
  'unknown',
  /** Nobody can make it again: the books do not know what it was about, and it cannot be read now either. It can be dropped. */
  'unreadable',
  /** The message was never routed and its spool record is gone. It can be dropped. */
  'noRecord',
  /** Something else happened to it at this moment; ask again. */
  'moved',
])
export type DeadResult = z.infer<typeof DeadResult>

export const MAX_LETTERS_PER_ACT = 100

export const actOnDead = defineRequest({
  name: 'custody.actOnDead',
  answerer: 'custody',
  askers,
  purpose: 'Drive dead letters once more, or drop them; the results are in the order asked.',
  timeoutMs: 30_000,
  input: z.object({
    act: DeadAct,
    /** Who decided, for the books. */
    by: z.string().min(1).max(200),
    ids: z.array(DeadLetterId).min(1).max(MAX_LETTERS_PER_ACT),
  }),
  output: z.object({ results: z.array(DeadResult) }),
})
