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

/** What of a final recipient its task is made from. */
export interface Named extends Pick<Task, 'n' | 'forwardPath' | 'reversePath'> {
  expanded?: boolean | undefined
}

/** The task of one final recipient. Everybody who makes one makes it here, so that a second copy is the same. */
export function taskOf(message: MessageEntry, original: Recipient, final: Named): Task {
  const { reversePath: sender, account: _, messageId: __, report: ___, traceId: ____, envid, ret, ...facts } = message
  const { n, forwardPath, reversePath } = final
  const { notify: _asked, ...named } = original
  const notify = notifyFor(original, final, sender)
  // RFC 3461 §5.2.7.3: a list sends a message of its own; what the author asked to be told about ends at the list.
  return reversePath === sender
    ? { ...facts, envid, ret, n, reversePath, original: { ...named, ...(notify && { notify }) }, forwardPath }
    : { ...facts, n, reversePath, original: { forwardPath: original.forwardPath }, forwardPath }
}

/**
 * Which reports about one final recipient whoever its mail is from is owed; undefined: nothing was said.
 * @param sender the message's own reverse-path
 */
export function notifyFor(
  { notify }: Pick<Recipient, 'notify'>,
  { reversePath, expanded }: Pick<Named, 'reversePath' | 'expanded'>,
  sender: Task['reversePath'],
): Recipient['notify'] {
  if (reversePath !== sender) return undefined
  if (expanded !== true || !notify?.includes('SUCCESS')) return notify
  // RFC 3461 §5.2.7.2 (c): SUCCESS is taken out, and an `expanded` report stands for it. Nothing left means NEVER, not the default.
  const rest = notify.filter((word) => word !== 'SUCCESS')
  return rest.length === 0 ? ['NEVER'] : rest
}
