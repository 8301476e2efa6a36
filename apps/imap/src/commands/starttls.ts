/** STARTTLS — RFC 9051 §6.2.1. The tagged OK travels unprotected and last; nothing that came with the command survives. */
import { beforeLogin, nothing } from '../command.ts'
import { bad } from '../reply.ts'

export const starttls = beforeLogin({
  name: 'STARTTLS',
  guard: (session) => {
    if (!session.capabilities().mayStartTls) throw bad('TLS is on already, or not to be had here')
  },
  parse: nothing,
  run: async () => ({ text: 'Begin TLS negotiation now', startTls: true }),
})
