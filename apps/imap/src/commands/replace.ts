/**
 * REPLACE and UID REPLACE — RFC 8508: a message comes and another one goes, in one step of the mailstore. Nobody ever sees both of
 * them, or neither.
 */
import { appendMessages } from '@postbus/contracts'
import { parseSequenceSet, type Arguments, type SequenceSet } from '@postbus/imap-wire'

import { inMailbox, type Command, type Completed, type InMailbox } from '../command.ts'
import { no, readOnly, refusing } from '../reply.ts'
import { mailboxArgument } from '../session/mailbox-argument.ts'
import { messageLiteral, noSuchMailbox, parseMessage, stagedMessages } from './append.ts'

export const replace = command(false)
export const uidReplace = command(true)

/** One message — RFC 8508 §4. */
const NUMBER = /[1-9][0-9]{0,9}|\*/y

interface ReplaceArguments {
  which: SequenceSet
  to: string
  message: ReturnType<typeof parseMessage>
}

function command(byUid: boolean): Command {
  return inMailbox({
    name: byUid ? 'UID REPLACE' : 'REPLACE',
    updates: 'look',
    literal: messageLiteral((args) => {
      number(args)
      return args.space()
    }),
    parse: (args) => ({
      which: number(args),
      to: mailboxArgument(args.space()),
      message: parseMessage(args.space()),
    }),
    run: (context, args) => run(context, args, byUid),
  })
}

const number = (args: Arguments): SequenceSet =>
  parseSequenceSet(args.space().pattern(NUMBER, 'the number of one message'))

async function run(
  { session, account, selected }: InMailbox,
  { which, to, message }: ReplaceArguments,
  byUid: boolean,
): Promise<Completed> {
  if (selected.readOnly) throw readOnly()
  const { first: uid } = selected.resolve(which, byUid).intersect(selected.uids)
  if (uid === undefined) throw no('EXPUNGEISSUED', 'This message is gone')
  const replaces = { mailbox: selected.mailbox, uid }
  const messages = stagedMessages(session, [message])
  const { uidValidity, uids } = await refusing(
    account.ask(appendMessages, (token) => ({ token, name: to, messages, replaces })),
    { noSuchMailbox },
  )
  // RFC 8508 §3.3: before the EXPUNGE, so that a client can follow its message.
  session.out.line(`* OK [APPENDUID ${uidValidity} ${uids}] Replaced`)
  return { text: 'REPLACE completed' }
}
