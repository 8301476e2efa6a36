/** What a task to mailstore or delivery says about its one final recipient. */
import { z } from 'zod'

import { ForwardPath, MessageFacts, Recipient, RecipientKey, ReversePath } from './envelope.ts'

export const Task = z.object({
  ...MessageFacts.shape,
  n: RecipientKey,
  /** As in the envelope; a list or group puts its own here — RFC 5321 §3.9.2. */
  reversePath: ReversePath,
  /** The recipient as the sender wrote it, with its DSN parameters. */
  original: Recipient,
  /** Where it goes after aliases, lists and rewriting. */
  forwardPath: ForwardPath,
})
export type Task = z.infer<typeof Task>
