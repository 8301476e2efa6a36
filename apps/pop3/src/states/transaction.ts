/** TRANSACTION: look at the maildrop and mark — RFC 1939 §5, §7; QUIT leads to UPDATE, §6. */
import type { Listed, Maildrop } from '../maildrop.ts'
import { multiline, top as topOf } from '../multiline.ts'
import { lines, Pop3Error } from '../reply.ts'
import type { Command, Session } from '../session.ts'
import { capa } from './capa.ts'
import { lang } from './lang.ts'

/** Digits only, and few enough to be exact. Spaces before it are one too many, but harmless; behind it they are noise. */
const NUMBER = /^ *[0-9]{1,15}$/

function maildropOf({ open }: Session): Maildrop {
  if (open === null) throw new Pop3Error('Log in first')
  return open.maildrop
}

function messageOf(maildrop: Maildrop, argument: string): Listed {
  const message = NUMBER.test(argument) ? maildrop.get(Number(argument)) : null
  if (message === null) throw new Pop3Error('No such message')
  return message
}

const stat: Command = (session) => {
  const { count, size } = maildropOf(session)
  return { text: `${count} ${size}` }
}

/** LIST and UIDL: one line for one message, a listing without an argument. */
function listing(lineOf: (maildrop: Maildrop, message: Listed) => string): Command {
  return (session, argument) => {
    const maildrop = maildropOf(session)
    if (argument !== '') return { text: lineOf(maildrop, messageOf(maildrop, argument)) }
    const rows = function* () {
      for (const message of maildrop.list()) yield lineOf(maildrop, message)
    }
    return { text: `${maildrop.count} messages`, body: lines(rows()) }
  }
}

const list = listing((_, { number, size }) => `${number} ${size}`)
const uidl = listing((maildrop, message) => `${message.number} ${maildrop.uidl(message)}`)

const retr: Command = (session, argument) => {
  const maildrop = maildropOf(session)
  const message = messageOf(maildrop, argument)
  return {
    text: `${message.size} octets`,
    body: (async function* () {
      yield* multiline(maildrop.read(message))
      maildrop.retrieved(message)
    })(),
  }
}

const top: Command = (session, argument) => {
  const [, number, count] = /^ *(\d+) +(\d{1,15})$/.exec(argument) ?? []
  if (number === undefined || count === undefined) throw new Pop3Error('TOP needs a message and a number of lines')
  const maildrop = maildropOf(session)
  const message = messageOf(maildrop, number)
  return { text: 'top of message', body: multiline(topOf(maildrop.read(message), Number(count))) }
}

const dele: Command = (session, argument) => {
  const maildrop = maildropOf(session)
  maildrop.delete(messageOf(maildrop, argument))
  return { text: 'marked' }
}

const rset: Command = (session) => {
  const maildrop = maildropOf(session)
  maildrop.reset()
  return { text: `${maildrop.count} messages` }
}

const quit: Command = async (session) => {
  session.ended = true
  try {
    await maildropOf(session).update()
  } catch (cause) {
    // RFC 1939 §6: some may be gone, none is marked any more; the client sees by UIDL next time.
    throw new Pop3Error('Messages could not be removed', 'SYS/TEMP', { cause })
  }
  return { text: 'bye' }
}

export const transaction: Record<string, Command> = {
  STAT: stat,
  LIST: list,
  UIDL: uidl,
  RETR: retr,
  TOP: top,
  DELE: dele,
  RSET: rset,
  NOOP: () => ({ text: '' }),
  LANG: lang,
  CAPA: capa,
  QUIT: quit,
}
