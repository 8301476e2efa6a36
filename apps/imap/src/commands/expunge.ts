/** EXPUNGE and UID EXPUNGE — RFC 9051 §6.4.3, §6.4.9, RFC 4315 §2.1, RFC 7162 §3.2.7. */
import { expungeMessages } from '@postbus/contracts'
import { NumberSet, type SequenceSet } from '@postbus/imap-wire'

import { inMailbox, nothing, type Completed, type InMailbox } from '../command.ts'
import { readOnly, refusing } from '../reply.ts'
import { highestModseq } from '../session/condstore.ts'
import { tellExpunged } from '../session/updates.ts'

export const expunge = inMailbox({
  name: 'EXPUNGE',
  parse: nothing,
  run: (context) => remove(context, undefined),
})

export const uidExpunge = inMailbox({
  name: 'UID EXPUNGE',
  parse: (args) => args.space().sequenceSet(),
  run: (context, set) => remove(context, set),
})

async function remove({ session, account, selected }: InMailbox, set: SequenceSet | undefined): Promise<Completed> {
  if (selected.readOnly) throw readOnly()
  const { mailbox } = selected
  const uids = set && selected.resolve(set, true)
  if (uids?.isEmpty !== true) {
    const input = uids ? { mailbox, uids: uids.toString() } : { mailbox }
    const { vanished, more } = await refusing(account.ask(expungeMessages, (token) => ({ token, ...input })))
    await tellExpunged(selected, session.out, NumberSet.parse(vanished))
    // The look before the OK tells the others.
    if (more) selected.lookAgain()
    if (vanished !== '') return { ...highestModseq(selected), text: 'EXPUNGE completed' }
  }
  return { text: 'EXPUNGE completed' }
}
