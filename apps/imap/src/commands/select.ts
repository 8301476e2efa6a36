/** SELECT and EXAMINE — RFC 9051 §6.3.2–3, RFC 3501 §6.3.1–2. */
import { openMailbox, type MailboxInfo } from '@postbus/contracts'
import { NumberSet, type Arguments } from '@postbus/imap-wire'

import { afterLogin, type Completed, type InAccount } from '../command.ts'
import { refusingRows } from '../reply.ts'
import type { Account } from '../session/account.ts'
import { mailboxArgument } from '../session/mailbox-argument.ts'
import { SelectedMailbox } from '../session/selected-mailbox.ts'
import { tellFlagsInUse } from '../session/updates.ts'

const parse = (args: Arguments): string => mailboxArgument(args.space())

export const select = afterLogin({
  name: 'SELECT',
  updates: 'none',
  parse,
  run: (context, name) => open(context, name, false),
})

export const examine = afterLogin({
  name: 'EXAMINE',
  updates: 'none',
  parse,
  run: (context, name) => open(context, name, true),
})

async function open({ session, account }: InAccount, name: string, readOnly: boolean): Promise<Completed> {
  const { out } = session
  if (session.state.kind === 'selected') {
    // Also when the new one cannot be opened: the old one is closed — RFC 9051 §6.3.2, §7.1 (CLOSED).
    session.unselect()
    out.line('* OK [CLOSED] Previous mailbox is closed')
  }
  const hints = session.hints
  const { info, recentFrom, firstUnseen, uids } = await read(account, name, readOnly)
  const selected = new SelectedMailbox(info, uids, recentFrom, readOnly)
  session.select(account, selected)
  // It may have changed between being read and being watched.
  if (session.hints !== hints) selected.mayHaveChanged()

  tellFlagsInUse(selected, out)
  out.line(`* ${uids.size} EXISTS`)
  out.line(`* ${selected.recent.size} RECENT`)
  const unseen = firstUnseen === undefined ? undefined : selected.sequenceNumber(firstUnseen)
  if (unseen !== undefined) out.line(`* OK [UNSEEN ${unseen}] First unseen message`)
  out.line(`* OK [UIDVALIDITY ${info.uidValidity}] UIDs are valid`)
  out.line(`* OK [UIDNEXT ${info.uidNext}] Predicted next UID`)
  const [code, verb] = readOnly ? ['READ-ONLY', 'EXAMINE'] : ['READ-WRITE', 'SELECT']
  return { code, text: `${verb} completed` }
}

interface Opened {
  info: MailboxInfo
  recentFrom: number
  firstUnseen?: number | undefined
  uids: NumberSet
}

async function read(account: Account, name: string, readOnly: boolean): Promise<Opened> {
  const ranges: (readonly [number, number])[] = []
  let opened: Omit<Opened, 'uids'> | undefined
  for await (const { row } of refusingRows(account.rows(openMailbox, (token) => ({ token, name, readOnly })))) {
    if (row.kind === 'mailbox') opened = row
    else ranges.push(...NumberSet.parse(row.uids).ranges())
  }
  if (!opened) throw new Error('the mailstore opened a mailbox without describing it')
  return { ...opened, uids: NumberSet.fromRanges(ranges) }
}
