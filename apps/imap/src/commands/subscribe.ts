/** SUBSCRIBE and UNSUBSCRIBE — RFC 9051 §6.3.7–8. The mailbox need not exist. */
import { subscribeMailbox } from '@postbus/contracts'

import { afterLogin, type Command } from '../command.ts'
import { refusing } from '../reply.ts'
import { newMailboxArgument } from '../session/mailbox-argument.ts'

export const subscribe = setting('SUBSCRIBE', true)
export const unsubscribe = setting('UNSUBSCRIBE', false)

function setting(verb: string, subscribed: boolean): Command {
  return afterLogin({
    name: verb,
    parse: (args) => newMailboxArgument(args.space()),
    run: async ({ account }, name) => {
      await refusing(account.ask(subscribeMailbox, (token) => ({ token, name, subscribed })))
      return { text: `${verb} completed` }
    },
  })
}
