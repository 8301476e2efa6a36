/** CLOSE and UNSELECT — RFC 9051 §6.4.1–2, RFC 3691, RFC 7162 §3.2.8. */
import { expungeMessages } from '@postbus/contracts'

import { inMailbox, nothing } from '../command.ts'
import { refusing } from '../reply.ts'

export const close = inMailbox({
  name: 'CLOSE',
  updates: 'none',
  parse: nothing,
  run: async ({ session, account, selected }) => {
    const { mailbox, readOnly } = selected
    // Removes what is marked, and says nothing of it.
    const removed = readOnly ? undefined : await refusing(account.ask(expungeMessages, (token) => ({ token, mailbox })))
    session.unselect()
    const text = 'CLOSE completed'
    if (!removed || removed.vanished === '' || !session.enabled.has('QRESYNC')) return { text }
    return { code: `HIGHESTMODSEQ ${removed.highestModseq}`, text }
  },
})

export const unselect = inMailbox({
  name: 'UNSELECT',
  updates: 'none',
  parse: nothing,
  run: async ({ session }) => {
    session.unselect()
    return { text: 'UNSELECT completed' }
  },
})
