/** COPY and MOVE, with UIDs or sequence numbers — RFC 9051 §6.4.7–8, RFC 6851, RFC 4315 §3 (COPYUID), RFC 7162 §3.2.9. */
import { copyMessages } from '@postbus/contracts'
import { NumberSet, type Arguments, type SequenceSet } from '@postbus/imap-wire'

import { inMailbox, type Command, type Completed, type InMailbox } from '../command.ts'
import { no, readOnly, refusing } from '../reply.ts'
import { highestModseq } from '../session/condstore.ts'
import { mailboxArgument } from '../session/mailbox-argument.ts'
import { tellExpunged } from '../session/updates.ts'

export const copy = command('COPY', false)
export const uidCopy = command('COPY', true)
export const move = command('MOVE', false)
export const uidMove = command('MOVE', true)

interface CopyArguments {
  set: SequenceSet
  to: string
}

function command(verb: 'COPY' | 'MOVE', byUid: boolean): Command {
  return inMailbox({
    name: byUid ? `UID ${verb}` : verb,
    // The target may be the selected mailbox itself, or come to hold what others see.
    updates: 'look',
    parse: (args: Arguments) => ({ set: args.space().sequenceSet(), to: mailboxArgument(args.space()) }),
    run: (context, args) => run(context, args, verb, byUid),
  })
}

const gone = () => no('EXPUNGEISSUED', 'Some of these messages are gone')

async function run(
  { session, account, selected }: InMailbox,
  { set, to }: CopyArguments,
  verb: 'COPY' | 'MOVE',
  byUid: boolean,
): Promise<Completed> {
  const move = verb === 'MOVE'
  if (move && selected.readOnly) throw readOnly()
  const { mailbox } = selected
  const uids = selected.resolve(set, byUid)
  const wanted = uids.intersect(selected.uids)
  if (wanted.isEmpty) return { text: `${verb} completed, no messages` }
  // By number every message is meant, gone or not (RFC 2180 §4.4); a UID that is not there is passed over — RFC 9051 §6.4.9.
  const atLeast = byUid ? 1 : wanted.size
  const asked = { mailbox, uids: uids.toString(), to, move, atLeast }
  const {
    uidValidity,
    from,
    to: copies,
  } = await refusing(
    account.ask(copyMessages, (token) => ({ token, ...asked })),
    { noSuchMessage: gone },
  )
  // As release 0.1.0 says it.
  if (from === '') throw gone()
  const copied = `COPYUID ${uidValidity} ${from} ${copies}`
  if (!move) return { code: copied, text: 'COPY completed' }
  // RFC 6851 §4.3: before the EXPUNGEs, so that a client can follow its messages.
  session.out.line(`* OK [${copied}] Moved`)
  await tellExpunged(selected, session.out, NumberSet.parse(from))
  return { ...highestModseq(selected), text: 'MOVE completed' }
}
