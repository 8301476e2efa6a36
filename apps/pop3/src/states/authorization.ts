/**
 * AUTHORIZATION: who is it? — RFC 1939 §4; STLS RFC 2595 §4; AUTH RFC 5034; UTF8 RFC 6856 §2.
 */
import type { Granted } from '@postbus/directory-client'
import { decodeInitial, decodeResponse, mechanismOf, offeredMechanisms, SaslFault, type Verdict } from '@postbus/sasl'

import { lines, Pop3Error, type Reply } from '../reply.ts'
import { EndOfSession, type Command, type Session } from '../session.ts'
import { capa } from './capa.ts'
import { lang } from './lang.ts'

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
  return logIn(session, ({ verifier }) => verifier.password({ username, password: argument }))
}

const auth: Command = async (session, argument) => {
  // Outlook asks for the list so, as a draft of RFC 1734 had it.
  if (argument === '')
    return { text: 'mechanisms', body: lines(session.mayLogin ? offeredMechanisms(session.offer) : []) }
  if (!session.mayLogin) throw needTls()
  const [name = '', initial, ...more] = argument.split(' ')
  const { offer } = session
  const mechanism = mechanismOf(name, offer)
  if (mechanism === undefined) throw new Pop3Error('Unknown mechanism; CAPA lists them')
  if (more.length > 0) throw new Pop3Error('Noise after the initial response')
  session.username = null
  return logIn(session, async ({ verifier, write, readLine }) => {
    const challenge = async (octets: Uint8Array): Promise<Uint8Array> => {
      await write(`+ ${Buffer.from(octets).toString('base64')}\r\n`)
      return decodeResponse(await readLine())
    }
    try {
      return await mechanism({ initial: decodeInitial(initial), channel: offer.channel, verifier, challenge })
    } catch (cause) {
      throw cause instanceof SaslFault ? answerTo(cause) : cause
    }
  })
}

/** RFC 3206 §4: AUTH is about who it is, not about how it was said. */
function answerTo({ kind, message }: SaslFault): Pop3Error {
  return new Pop3Error(message, kind === 'notAuthorized' ? 'AUTH' : null)
}

async function logIn(session: Session, verify: (ports: Session['ports']) => Promise<Verdict<Granted>>): Promise<Reply> {
  const { ports } = session
  const verdict = await unlessDown(() => verify(ports))
  if (verdict.kind !== 'accepted') ports.loggedIn(verdict.kind)
  switch (verdict.kind) {
    case 'accepted': {
      const open = await unlessDown(() => ports.openMaildrop(verdict.granted))
      ports.loggedIn(open === null ? 'inUse' : 'accepted')
      if (open === null) throw new Pop3Error('Another session has this maildrop', 'IN-USE')
      session.open = open
      return { text: `${open.maildrop.count} messages` }
    }
    case 'refused':
      await ports.pause(verdict.delayMs)
      throw new Pop3Error('Authentication failed', 'AUTH')
    case 'throttled':
      throw new Pop3Error('Too many logins, try again later', 'SYS/TEMP')
  }
}

/** Nobody answers: no verdict on the client — RFC 3206 §3. */
async function unlessDown<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof Pop3Error || cause instanceof EndOfSession) throw cause
    throw new Pop3Error('Try again later', 'SYS/TEMP', { cause })
  }
}

const stls: Command = (session) => {
  if (!session.canStartTls) throw new Pop3Error('STLS is not possible now')
  // RFC 6856 §2.1: no STLS after UTF8.
  if (session.utf8) throw new Pop3Error('STLS comes before UTF8')
  session.username = null
  return { text: 'begin TLS', startTls: true }
}

/** Names and passwords are UTF-8 either way (UTF8 USER), and so are messages — RFC 6856 §2. */
const utf8: Command = (session, argument) => {
  if (argument !== '') throw new Pop3Error('UTF8 takes no argument')
  session.utf8 = true
  return { text: 'UTF-8 it is' }
}

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
  LANG: lang,
  CAPA: capa,
  QUIT: quit,
}
