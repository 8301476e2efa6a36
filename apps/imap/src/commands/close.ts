/** CLOSE and UNSELECT — RFC 9051 §6.4.1–2, RFC 3691. */
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
    if (!readOnly) await refusing(account.ask(expungeMessages, (token) => ({ token, mailbox })))
    session.unselect()
    return { text: 'CLOSE completed' }
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
