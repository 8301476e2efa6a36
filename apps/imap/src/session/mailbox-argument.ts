/** A mailbox name as an argument. One that no mailbox can have is answered as such, not as bad syntax. */
import { SEPARATOR, type Arguments } from '@postbus/imap-wire'

import { no } from '../reply.ts'

/** What the mailstore's contract takes. */
const MAX_LENGTH = 1000

export const mailboxArgument = (args: Arguments): string => usable(args.mailbox())

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
