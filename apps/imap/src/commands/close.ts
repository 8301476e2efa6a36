/** CLOSE and UNSELECT — RFC 9051 §6.4.1–2, RFC 3691, RFC 7162 §3.2.8. */
import { RequestRefused } from '@postbus/bus'
import { expungeMessages } from '@postbus/contracts'

import { inMailbox, nothing } from '../command.ts'
import { refusing } from '../reply.ts'

export const close = inMailbox({
  name: 'CLOSE',
  updates: 'none',
  parse: nothing,
  run: async ({ session, account, selected }) => {
    const { mailbox, readOnly } = selected
    // Removes what is marked, and says nothing of it; nothing is left in a mailbox that somebody deleted.
    const removing = async (): Promise<void> => {
      try {
        await account.ask(expungeMessages, (token) => ({ token, mailbox }))
      } catch (cause) {
        if (!(cause instanceof RequestRefused) || cause.code !== 'noSuchMailbox') throw cause
      }
    }
    if (!readOnly) await refusing(removing())
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
