/** Hints to front ends, one per account and turn of the event loop however many writes there were. */
import type { Bus } from '@postbus/bus'
import { MailboxChanged } from '@postbus/contracts'

import type { MailboxChange } from '../mailbox/storage.ts'

export type NoteChanges = (changes: readonly MailboxChange[]) => void

export function changeHints(bus: Pick<Bus, 'hint'>): NoteChanges {
  const waiting = new Map<MailboxChange['account'], Map<number, MailboxChange>>()

  function send(): void {
    for (const [account, mailboxes] of waiting) {
      const changed = [...mailboxes.values()].map(({ mailbox, highestModseq, uidNext }) => ({
        mailbox,
        highestModseq,
        uidNext,
      }))
      bus.hint(MailboxChanged, { account, mailboxes: changed })
    }
    waiting.clear()
  }

  return (changes) => {
    if (changes.length > 0 && waiting.size === 0) setImmediate(send)
    for (const change of changes) {
      const mailboxes = waiting.get(change.account)
      if (mailboxes) mailboxes.set(change.mailbox, change)
      else waiting.set(change.account, new Map([[change.mailbox, change]]))
    }
  }
}
