/**
 * APPEND, also of several messages — RFC 9051 §6.3.12, RFC 3502, RFC 3516 §4.4 (literal8), RFC 4315 §3 (APPENDUID), RFC 9755 §4.
 *
 * A message goes into libs/blobs while it arrives; the mailstore is given its name. Until then the blob is ours, and taken
 * away again when nothing comes of the command.
 */
import { appendMessages, mailboxStatus } from '@postbus/contracts'
import {
  ImapSyntaxError,
  parseDateTime,
  parseFlagList,
  type AnnouncedLiteral,
  type Arguments,
} from '@postbus/imap-wire'

import { afterLogin, type Command, type Completed, type LiteralUse } from '../command.ts'
import { no, refusing, type ImapError } from '../reply.ts'
import { mailboxArgument } from '../session/mailbox-argument.ts'
import type { Session } from '../session/session.ts'

/** What the mailstore's contract takes at once. */
const MAX_MESSAGES = 100
/** A client with more than this to send, which waits for leave, is told first when the mailbox does not exist. */
const WORTH_ASKING_BYTES = 64 * 1024

interface MessageArgument {
  flags: string[]
  internalDate: string | undefined
  index: number
  /** It came as a literal8. */
  binary: boolean
}

/** A message literal of a command whose arguments up to the mailbox `before` reads. */
export const messageLiteral =
  (before: (args: Arguments) => Arguments): NonNullable<Command['literal']> =>
  (session, args, literal) =>
    useOf(session, before(args), literal)

export const append = afterLogin({
  name: 'APPEND',
  // The mailbox may be the selected one.
  updates: 'look',
  literal: messageLiteral((args) => args.space()),
  parse: parseAppend,
  run: async ({ session, account }, { name, messages }) => {
    const staged = stagedMessages(session, messages)
    const { uidValidity, uids } = await refusing(
      account.ask(appendMessages, (token) => ({ token, name, messages: staged })),
      { noSuchMailbox },
    )
    return appended(uidValidity, uids)
  },
})

export const appended = (uidValidity: number, uids: string): Completed => ({
  code: `APPENDUID ${uidValidity} ${uids}`,
  text: 'APPEND completed',
})

const tooMany = (): ImapError => no('LIMIT', `At most ${MAX_MESSAGES} messages at once`)
export const noSuchMailbox = (): ImapError => no('TRYCREATE', 'No such mailbox') // RFC 9051 §6.3.12

/** All that follows the command's name, but for its end. */
export function parseAppend(args: Arguments): { name: string; messages: MessageArgument[] } {
  const name = mailboxArgument(args.space())
  const messages: MessageArgument[] = []
  do {
    if (messages.length === MAX_MESSAGES) throw tooMany()
    messages.push(parseMessage(args.space()))
  } while (!args.atEnd)
  return { name, messages }
}

export function stagedMessages(session: Session, messages: readonly MessageArgument[]) {
  return messages.map(({ flags, internalDate, index, binary }) => ({
    ...session.staging.get(index),
    ...{ flags, binary },
    ...(internalDate === undefined ? {} : { internalDate }),
  }))
}

export function parseMessage(args: Arguments): MessageArgument {
  const attributes = parseAttributes(args)
  const message = args.skipWord('UTF8') ? parseUtf8Data(args) : args.streamedLiteral('the message as a literal')
  return { ...attributes, ...message }
}

/** `UTF8 (~{n} …)`: RFC 9755 needs no mark of its own any more; clients of RFC 6855 §4 still set it. */
function parseUtf8Data(args: Arguments): Pick<MessageArgument, 'index' | 'binary'> {
  args.space().expect('(')
  const message = args.streamedLiteral('the message as a literal8')
  if (!message.binary) throw new ImapSyntaxError('Expected the message as a literal8')
  args.expect(')')
  // RFC 9755 §4
  if (!args.utf8) throw no('CANNOT', 'Enable UTF8=ACCEPT first')
  return message
}

/** Flags and a date before the message, each with a space behind it. */
function parseAttributes(args: Arguments): Omit<MessageArgument, 'index' | 'binary'> {
  const hasFlags = args.next('(') // RFC 9051 §9 (flag-list): an empty list is one, too
  const flags = hasFlags ? parseFlagList(args) : []
  if (args.atEnd) throw new ImapSyntaxError('Expected the message as a literal')
  if (hasFlags) args.space()
  const internalDate = args.next('"') ? parseDateTime(args) : undefined
  if (internalDate !== undefined) args.space()
  return { flags, internalDate }
}

/** The first literal may be the mailbox's name; any other is a message. */
async function useOf(session: Session, args: Arguments, literal: AnnouncedLiteral): Promise<LiteralUse> {
  if (args.atEnd) return { kind: 'hold' }
  const name = mailboxArgument(args)
  const { maxAppendBytes } = session.limits
  // RFC 3502 §6.3.11: a message of no octets calls it all off.
  if (literal.size === 0) return { kind: 'refuse', reason: no(null, 'A message cannot be empty') }
  if (session.staging.count >= MAX_MESSAGES) return { kind: 'refuse', reason: tooMany() }
  // RFC 7889 §4
  if (literal.size > maxAppendBytes)
    return { kind: 'refuse', reason: no('TOOBIG', `A message may have ${maxAppendBytes} octets`) }
  if (literal.synchronising && literal.size > WORTH_ASKING_BYTES) await expectMailbox(session, name)
  return { kind: 'stage' }
}

async function expectMailbox({ state }: Session, name: string): Promise<void> {
  if (state.kind !== 'authenticated' && state.kind !== 'selected') return
  await refusing(
    state.account.ask(mailboxStatus, (token) => ({ token, name })),
    { noSuchMailbox },
  )
}
