/** AUTHENTICATE PLAIN, with or without an initial response — RFC 9051 §6.2.2, RFC 4616, RFC 4959. */
import { capabilityList } from '../capabilities.ts'
import { beforeLogin } from '../command.ts'
import { bad, no } from '../reply.ts'
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
  run: async ({ session }, { mechanism, initial }) => {
    if (mechanism !== 'PLAIN') throw no('CANNOT', 'This mechanism is not offered')
    await logInWith(session, parsePlain(await response(session, initial)))
    return { code: capabilityList(session.capabilities()), text: 'Logged in' }
  },
})

async function response(session: Session, initial: string | undefined): Promise<Buffer> {
  const line = initial === '=' ? '' : (initial ?? (await session.challenge('')))
  if (line === null) throw bad('The response is too long')
  if (line === '*') throw bad('Cancelled, as you asked')
  const octets = Buffer.from(line, 'base64')
  if (octets.toString('base64').replace(/=+$/, '') !== line.replace(/=+$/, '')) throw bad('The response is not base64')
  return octets
}

/** authorization identity NUL authentication identity NUL password — RFC 4616 §2. */
function parsePlain(octets: Buffer): { username: string; password: string } {
  const [authorization, username, password, ...more] = octets.toString('utf8').split('\0')
  if (username === undefined || password === undefined || more.length > 0) throw bad('The response is not PLAIN')
  // Nobody may act for somebody else.
  if (authorization !== '' && authorization !== username)
    throw no('AUTHORIZATIONFAILED', 'You may only act for yourself')
  return { username, password }
}
