/** A mailbox name as an argument. One that no mailbox can have is answered as such, not as bad syntax. */
import { ImapSyntaxError, SEPARATOR, type Arguments } from '@postbus/imap-wire'

import { no } from '../reply.ts'

/** What the mailstore's contract takes. */
const MAX_LENGTH = 1000

export const mailboxArgument = (args: Arguments): string => usable(args.mailbox())

/**
 * The same for a command that begins with something else, whatever becomes of the name: it is refused when it is asked for. Bad
 * syntax is told at once.
 */
export function lateMailboxArgument(args: Arguments): () => string {
  try {
    const name = mailboxArgument(args)
    return () => name
  } catch (cause) {
    if (cause instanceof ImapSyntaxError) throw cause
    return () => {
      throw cause
    }
  }
}

/** A trailing separator says that names below will follow; the mailbox is without it — RFC 9051 §6.3.4. */
export function newMailboxArgument(args: Arguments): string {
  const name = args.mailbox()
  return usable(name.endsWith(SEPARATOR) ? name.slice(0, -1) : name)
}

function usable(name: string): string {
  if (name === '' || name.length > MAX_LENGTH || name.endsWith(SEPARATOR))
    throw no('CANNOT', 'This name cannot be used')
  return name
}
