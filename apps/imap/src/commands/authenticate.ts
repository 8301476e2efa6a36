/** AUTHENTICATE, with or without an initial response — RFC 9051 §6.2.2, RFC 4959; the mechanisms are those of libs/sasl. */
import { decodeInitial, decodeResponse, mechanismOf, SaslFault } from '@postbus/sasl'

import { capabilityList } from '../capabilities.ts'
import { beforeLogin } from '../command.ts'
import { bad, no, type ImapError } from '../reply.ts'
import { logInWith, requirePrivacy } from '../session/authentication.ts'
import type { Session } from '../session/session.ts'

/** `=` stands for an empty initial response — RFC 4959 §3. */
const INITIAL = /[A-Za-z0-9+/]+=*|=/y

export const authenticate = beforeLogin({
  name: 'AUTHENTICATE',
  guard: requirePrivacy,
  parse: (args) => {
    const mechanism = args.space().keyword('a mechanism')
    return { mechanism, initial: args.skip(' ') ? args.pattern(INITIAL, 'base64') : undefined }
  },
  run: async ({ session }, { mechanism: name, initial }) => {
    const { offer } = session
    const mechanism = mechanismOf(name, offer)
    if (!mechanism) throw no('CANNOT', 'This mechanism is not offered')
    await logInWith(session, async (verifier) => {
      try {
        const { channel } = offer
        const challenge = (octets: Uint8Array) => ask(session, octets)
        return await mechanism({ initial: decodeInitial(initial), channel, verifier, challenge })
      } catch (cause) {
        throw cause instanceof SaslFault ? answerTo(cause) : cause
      }
    })
    return { code: capabilityList(session.capabilities()), text: 'Logged in' }
  },
})

async function ask(session: Session, octets: Uint8Array): Promise<Buffer> {
  return decodeResponse(await session.challenge(Buffer.from(octets).toString('base64')))
}

function answerTo({ kind, message }: SaslFault): ImapError {
  return kind === 'notAuthorized' ? no('AUTHORIZATIONFAILED', message) : bad(message)
}
