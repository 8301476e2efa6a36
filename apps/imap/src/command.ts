/**
 * What a command is: a name, the states it is valid in, the grammar of its arguments, and what it does. One file each in
 * commands/; the connection knows only this.
 */
import type { AnnouncedLiteral, Arguments } from '@postbus/imap-wire'

import { bad, type ImapError } from './reply.ts'
import type { Account } from './session/account.ts'
import type { SelectedMailbox } from './session/selected-mailbox.ts'
import type { Session } from './session/session.ts'

/** The tagged OK. */
export interface Completed {
  /** In square brackets, complete; a function is asked after the updates that go before the answer have been told. */
  code?: string | (() => string)
  text: string
  /** The answer is the last line before a TLS handshake. */
  startTls?: true
  /** The answer is the last line that is not compressed. */
  compress?: true
}

/**
 * Whether changes of the selected mailbox are told before the tagged answer: `none` where the mailbox is left, `steady` where
 * sequence numbers must not move, `known` when something is known to have changed, `look` where the client expects it.
 */
export type Updates = 'none' | 'steady' | 'known' | 'look'

export interface Command {
  readonly name: string
  readonly updates: Updates
  /** @throws ImapError when it is not valid now; asked before any argument is read */
  check(session: Session): void
  /** @throws ImapSyntaxError */
  parse(args: Arguments): Run
  /** What to do with a literal of this command; without it, literals are held in memory. */
  literal?(session: Session, args: Arguments, literal: AnnouncedLiteral): Promise<LiteralUse>
}

export type Run = (session: Session) => Promise<Completed>

export type LiteralUse =
  | { kind: 'hold' }
  /** Streamed into a blob of this name. */
  | { kind: 'stage' }
  | { kind: 'refuse'; reason: ImapError }

interface Options {
  updates?: Updates
  /** What must hold beside the state. @throws ImapError */
  guard?: (session: Session) => void
  literal?: Command['literal']
}

interface Definition<Args, Context> extends Options {
  name: string
  parse(args: Arguments): Args
  run(context: Context, args: Args): Promise<Completed>
}

export interface InAccount {
  session: Session
  account: Account
}

export interface InMailbox extends InAccount {
  selected: SelectedMailbox
}

/** Valid in any state. */
export function anyTime<Args>(definition: Definition<Args, { session: Session }>): Command {
  return command(definition, (session) => ({ session }))
}

/** Valid before login only. */
export function beforeLogin<Args>(definition: Definition<Args, { session: Session }>): Command {
  return command(definition, (session) => {
    if (session.state.kind !== 'notAuthenticated') throw bad('Already logged in')
    return { session }
  })
}

/** Valid after login, with a mailbox selected or not. */
export function afterLogin<Args>(definition: Definition<Args, InAccount>): Command {
  return command(definition, (session) => ({ session, account: accountOf(session) }))
}

/** Valid with a mailbox selected. */
export function inMailbox<Args>(definition: Definition<Args, InMailbox>): Command {
  return command(definition, (session) => {
    const account = accountOf(session)
    if (session.state.kind !== 'selected') throw bad('No mailbox is selected')
    return { session, account, selected: session.state.selected }
  })
}

/** The name and arguments of a command that takes none. */
export const nothing = (args: Arguments): void => args.end()

function accountOf({ state }: Session): Account {
  if (state.kind === 'authenticated' || state.kind === 'selected') return state.account
  throw bad('Log in first')
}

function command<Args, Context>(
  { name, updates = 'known', guard, literal, parse, run }: Definition<Args, Context>,
  context: (session: Session) => Context,
): Command {
  return {
    name,
    updates,
    ...(literal && { literal }),
    check(session) {
      context(session)
      guard?.(session)
    },
    parse(args) {
      const parsed = parse(args)
      args.end()
      return (session) => run(context(session), parsed)
    },
  }
}
