/**
 * What a task to mailstore or delivery says about its one final recipient, and how it is made from the message and the
 * routing result: by the router at first, by custody when the bus lost it.
 *
 * STANDARDS  RFC 3461 §5.2.7 (DSN parameters through aliases and lists)
 */
import { z } from 'zod'

import { ForwardPath, MessageFacts, Recipient, RecipientKey, ReversePath, type MessageEntry } from './envelope.ts'

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

/** The task of one final recipient. Everybody who makes one makes it here, so that a second copy is the same. */
export function taskOf(
  message: MessageEntry,
  original: Recipient,
  { n, forwardPath, reversePath }: Pick<Task, 'n' | 'forwardPath' | 'reversePath'>,
): Task {
  const { reversePath: sender, account: _, messageId: __, envid, ret, ...facts } = message
  // RFC 3461 §5.2.7.3: a list sends a message of its own; what the author asked to be told about ends at the list.
  return reversePath === sender
    ? { ...facts, envid, ret, n, reversePath, original, forwardPath }
    : { ...facts, n, reversePath, original: { forwardPath: original.forwardPath }, forwardPath }
}
