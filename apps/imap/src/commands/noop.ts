/** NOOP and CHECK — RFC 9051 §6.1.2, RFC 3501 §6.4.1. Both are a client's way to ask what is new. */
import { anyTime, inMailbox, nothing } from '../command.ts'

export const noop = anyTime({
  name: 'NOOP',
  updates: 'look',
  parse: nothing,
  run: async () => ({ text: 'NOOP completed' }),
})

/** Everything we answered for is durable already, so there is nothing to check. */
export const check = inMailbox({
  name: 'CHECK',
  updates: 'look',
  parse: nothing,
  run: async () => ({ text: 'CHECK completed' }),
})
