/** SELECT and EXAMINE — RFC 9051 §6.3.2–3, RFC 3501 §6.3.1–2, RFC 7162 §3.1.8 and §3.2.5, RFC 8474 §4.2. */
import { openMailbox, type MailboxInfo } from '@postbus/contracts'
import { NumberSet, parseSelectParameters, type Arguments, type SelectParameters } from '@postbus/imap-wire'

import { afterLogin, type Completed, type InAccount } from '../command.ts'
import { bad, refusing, refusingRows } from '../reply.ts'
import type { Account } from '../session/account.ts'
import { enableCondstore } from '../session/condstore.ts'
import { listResponse } from '../session/list-response.ts'
import { lateMailboxArgument } from '../session/mailbox-argument.ts'
import { resynchronise } from '../session/resynchronise.ts'
import { SelectedMailbox } from '../session/selected-mailbox.ts'
import { tellFlagsInUse } from '../session/updates.ts'

interface SelectArguments extends SelectParameters {
  /** @throws ImapError, ImapNameError */
  name: () => string
}

const parse = (args: Arguments): SelectArguments => ({
  name: lateMailboxArgument(args.space()),
  ...parseSelectParameters(args),
})

export const select = afterLogin({
  name: 'SELECT',
  updates: 'none',
  parse,
  run: (context, args) => open(context, args, false),
})

export const examine = afterLogin({
  name: 'EXAMINE',
  updates: 'none',
  parse,
  run: (context, args) => open(context, args, true),
})

async function open(
  { session, account }: InAccount,
  { name: named, condstore, qresync }: SelectArguments,
  readOnly: boolean,
): Promise<Completed> {
  const { out, enabled } = session
  // RFC 7162 §3.2.5
  if (qresync && !enabled.has('QRESYNC')) throw bad('Enable QRESYNC first')
  if (session.state.kind === 'selected') {
    // Also when the new one cannot be opened: the old one is closed — RFC 9051 §6.3.2, §7.1 (CLOSED).
    session.unselect()
    out.line('* OK [CLOSED] Previous mailbox is closed')
  }
  const name = named()
  if (condstore) enableCondstore(session)
  const hints = session.hints
  const { info, recentFrom, firstUnseen, uids } = await read(account, name, readOnly)
  const selected = new SelectedMailbox(info, uids, { recentFrom, readOnly, enabled })
  session.select(account, selected)
  // It may have changed between being read and being watched.
  if (session.hints !== hints) selected.mayHaveChanged()

  tellFlagsInUse(selected, out)
  out.line(`* ${uids.size} EXISTS`)
  if (enabled.tellsRecent) {
    out.line(`* ${selected.recent.size} RECENT`)
    const unseen = firstUnseen === undefined ? undefined : selected.sequenceNumber(firstUnseen)
    if (unseen !== undefined) out.line(`* OK [UNSEEN ${unseen}] First unseen message`)
  }
  out.line(`* OK [UIDVALIDITY ${info.uidValidity}] UIDs are valid`)
  out.line(`* OK [UIDNEXT ${info.uidNext}] Predicted next UID`)
  // RFC 7162 §3.1.2.1: to every client, so that one that becomes aware later knows where it began.
  out.line(`* OK [HIGHESTMODSEQ ${info.highestModseq}] Highest`)
  out.line(`* OK [MAILBOXID (${info.mailboxId})] Its identifier`)
  // RFC 9051 §6.3.2: the mailbox in the spelling it has here.
  if (enabled.has('IMAP4rev2')) out.line(listResponse(info.name, { utf8: enabled.utf8, oldName: name }))
  // Of another mailbox of that name nothing is known — RFC 7162 §3.2.5.
  if (qresync?.uidValidity === info.uidValidity) {
    try {
      await refusing(resynchronise({ account, selected, session }, qresync))
    } catch (cause) {
      session.unselect()
      throw cause
    }
  }
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
