/** LIST and LSUB — RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 9590. */
import { listMailboxes as everyMailbox } from '@postbus/contracts'
import {
  encodeMailbox,
  encodeString,
  listPatterns,
  ListPattern,
  parseListArguments,
  SEPARATOR,
} from '@postbus/imap-wire'

import { afterLogin, type InAccount } from '../command.ts'
import { ImapError, refusing } from '../reply.ts'
import { listMailboxes, listSubscribed, type ListedName, type Mailboxes } from '../session/list-mailboxes.ts'
import { tellMetadata } from './metadata.ts'
import { statusResponse } from './status.ts'

export const list = afterLogin({
  name: 'LIST',
  parse: (args) => {
    const parsed = parseListArguments(args.space())
    return { ...parsed, matching: listPatterns(parsed, args) }
  },
  run: async (context, args) => {
    const { out, enabled } = context.session
    // RFC 9051 §7.3.1: its clients know \NonExistent in any case.
    const extended = args.extended || enabled.has('IMAP4rev2')
    if (!args.extended && args.patterns[0] === '') {
      // Asks for the separator and the root of the reference — RFC 9051 §6.3.9.
      out.line(`* LIST (\\Noselect) "${SEPARATOR}" ""`)
      return { text: 'LIST completed' }
    }
    const mailboxes = await known(context, args.status.includes('DELETED-STORAGE'))
    for (const listed of listMailboxes(mailboxes, { ...args, extended }, args.matching)) {
      out.line(response('LIST', listed, context))
      // RFC 5819 §2: after the LIST response of its mailbox.
      if (args.return.has('STATUS') && listed.info) out.line(statusResponse(context.session, listed.info, args.status))
      if (args.return.has('METADATA') && listed.info) await metadata(context, listed.name, args.metadata)
      if (out.full) await out.room()
    }
    return { text: 'LIST completed' }
  },
})

export const lsub = afterLogin({
  name: 'LSUB',
  parse: (args) => {
    const reference = args.space().astring('a reference name')
    const pattern = args.space().listMailbox()
    return { pattern: new ListPattern(reference, pattern, args), wildcard: pattern.includes('%') }
  },
  run: async (context, { pattern, wildcard }) => {
    for (const listed of listSubscribed(await known(context), pattern, wildcard)) {
      context.session.out.line(response('LSUB', listed, context))
    }
    return { text: 'LSUB completed' }
  },
})

async function metadata(context: InAccount, name: string, entries: string[]): Promise<void> {
  try {
    await tellMetadata(context, { name, entries, depth: '0', maxSize: undefined })
  } catch (cause) {
    // RFC 9590 §3: LIST is done, and says nothing of what could not be looked up.
    if (!(cause instanceof ImapError)) throw cause
  }
}

function known({ account }: InAccount, deletedSize = false): Promise<Mailboxes> {
  return refusing(account.ask(everyMailbox, (token) => ({ token, deletedSize })))
}

function response(verb: string, { name, attributes, childInfo }: ListedName, { session }: InAccount): string {
  const line = `* ${verb} (${attributes.join(' ')}) "${SEPARATOR}" ${encodeMailbox(name, session.enabled)}`
  return childInfo.length === 0 ? line : `${line} ("CHILDINFO" (${childInfo.map(encodeString).join(' ')}))`
}
