/**
 * AUTHORIZATION: who is it? — RFC 1939 §4; STLS RFC 2595 §4; AUTH RFC 5034, PLAIN RFC 4616; UTF8 RFC 6856 §2.
 */
import { Pop3Error, type Reply } from '../reply.ts'
import type { Command, Session } from '../session.ts'
import { capa } from './capa.ts'

const needTls = (): Pop3Error => new Pop3Error('Plaintext login is refused: use STLS first')

const user: Command = (session, argument) => {
  if (!session.mayLogin) throw needTls()
  if (argument === '') throw new Pop3Error('USER needs a name')
  session.username = argument
  // The same for names that exist and names that do not.
  return { text: 'send PASS' }
}

const pass: Command = async (session, argument) => {
  const { username } = session
  session.username = null
  if (username === null) throw new Pop3Error('USER comes first')
  return login(session, username, argument)
}

const auth: Command = async (session, argument) => {
  if (!session.mayLogin) throw needTls()
  const [mechanism = '', initial] = argument.split(' ')
  // Without an argument some clients ask for the list, as RFC 1734's drafts had it.
  if (mechanism === '') throw new Pop3Error('AUTH needs a mechanism; CAPA lists them')
  if (mechanism.toUpperCase() !== 'PLAIN') throw new Pop3Error('Unknown mechanism')
  let response = initial ?? null
  if (response === null) {
    session.ports.write('+ \r\n')
    response = await session.ports.readLine()
  }
  if (response === null || response === '*') throw new Pop3Error('Cancelled')
  const [authorization = '', username = '', password = ''] = plain(response === '=' ? '' : response)
  if (authorization !== '' && authorization !== username) throw new Pop3Error('Acting for another user is not possible')
  return login(session, username, password)
}

function plain(response: string): string[] {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(response)) throw new Pop3Error('Not base64')
  const parts = Buffer.from(response, 'base64').toString('utf8').split('\0')
  if (parts.length !== 3 || parts[1] === '') throw new Pop3Error('Not a PLAIN response')
  return parts
}

async function login(session: Session, username: string, password: string): Promise<Reply> {
  const result = await session.ports.login(username, password)
  switch (result.kind) {
    case 'opened': {
      const { maildrop, release } = result
      session.open = { maildrop, release }
      return { text: `${maildrop.count} messages` }
    }
    case 'refused':
      await session.ports.pause(result.delayMs)
      throw new Pop3Error('Authentication failed', 'AUTH')
    case 'throttled':
      throw new Pop3Error('Too many failed logins, try again later', 'SYS/TEMP')
    case 'inUse':
      throw new Pop3Error('Another session has this maildrop', 'IN-USE')
  }
}

const stls: Command = (session) => {
  if (!session.canStartTls) throw new Pop3Error('STLS is not possible now')
  session.username = null
  return { text: 'begin TLS', startTls: true }
}

/** Names and passwords are UTF-8 either way; the command only has to be understood — RFC 6856 §2. */
const utf8: Command = () => ({ text: 'UTF-8 it is' })

const quit: Command = (session) => {
  session.ended = true
  return { text: 'bye' }
}

export const authorization: Record<string, Command> = {
  USER: user,
  PASS: pass,
  AUTH: auth,
  STLS: stls,
  UTF8: utf8,
  CAPA: capa,
  QUIT: quit,
}
