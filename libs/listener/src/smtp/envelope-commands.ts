/**
 * What MAIL and RCPT say, once their parameters are understood. A refusal is thrown as the reply the client gets.
 *
 * STANDARDS  RFC 5321 §4.1.1.2–3, §4.1.1.11 (555); RFC 1870 (SIZE); RFC 6152 (BODY); RFC 6531 §3.4–3.5 (SMTPUTF8);
 *            RFC 3461 §4 (RET, ENVID, NOTIFY, ORCPT); RFC 4954 §5 (AUTH)
 */
import {
  decodeXtext,
  isAscii,
  type NotifyWord,
  parseEnvid,
  parseNotify,
  parseOrcpt,
  parsePathArgument,
  type PathArgument,
  parseRet,
  SmtpError,
} from '@postbus/smtp'

export interface MailCommand {
  /** As the client spelt it; '' is the null reverse-path. */
  reversePath: string
  /** What the client announced, in octets — RFC 1870 §5. */
  size?: number
  body?: '7BIT' | '8BITMIME'
  smtputf8: boolean
  ret?: 'FULL' | 'HDRS'
  envid?: string
}

export interface RcptCommand {
  /** As the client spelt it; `Postmaster` may stand without a domain — RFC 5321 §4.5.1. */
  forwardPath: string
  /** `addr-type;address`, decoded. */
  orcpt?: string
  notify?: NotifyWord[]
}

export interface MailRules {
  maxMessageOctets: number
  /** AUTH= is known only where AUTH is offered. */
  authOffered: boolean
}

export function readMail(argument: string, rules: MailRules): MailCommand {
  const { path, address, parameters } = readPath('FROM', argument)
  // Only RCPT may name Postmaster without a domain — RFC 5321 §4.1.1.3.
  if (address !== null && address.domain === null) throw badPath('FROM')
  const mail: MailCommand = { reversePath: path, smtputf8: false }
  for (const [keyword, value] of parameters) {
    switch (keyword) {
      case 'SIZE':
        mail.size = Number(known(value, (text) => (/^[0-9]{1,20}$/.test(text) ? text : null)))
        break
      case 'BODY':
        mail.body = known(value, parseBody)
        break
      case 'SMTPUTF8':
        if (value !== null) throw badParameter()
        mail.smtputf8 = true
        break
      case 'RET':
        mail.ret = known(value, parseRet)
        break
      case 'ENVID':
        mail.envid = known(value, parseEnvid)
        break
      case 'AUTH':
        // RFC 4954 §5: whoever submitted it first is nothing we trust a client to tell; the value is only checked.
        if (!rules.authOffered) throw unknownParameter()
        known(value, (text) => (text === '<>' ? text : decodeXtext(text)))
        break
      default:
        throw unknownParameter()
    }
  }
  if (!mail.smtputf8 && !isAscii(argument)) {
    throw new SmtpError(550, '5.6.7', 'Non-ASCII address needs SMTPUTF8') // RFC 6531 §3.5
  }
  if ((mail.size ?? 0) > rules.maxMessageOctets) throw messageTooBig()
  return mail
}

export function readRcpt(argument: string, mail: MailCommand): RcptCommand {
  const { path, parameters } = readPath('TO', argument)
  if (path === '') throw badPath('TO')
  const recipient: RcptCommand = { forwardPath: path }
  for (const [keyword, value] of parameters) {
    if (keyword === 'NOTIFY') recipient.notify = known(value, parseNotify)
    else if (keyword === 'ORCPT') recipient.orcpt = known(value, parseOrcpt)
    else throw unknownParameter()
  }
  if (!mail.smtputf8 && !isAscii(argument)) {
    throw new SmtpError(553, '5.6.7', 'Non-ASCII address needs SMTPUTF8') // RFC 6531 §3.5
  }
  return recipient
}

export const messageTooBig = (): SmtpError => new SmtpError(552, '5.3.4', 'Message exceeds the size limit') // RFC 1870 §6.1

function readPath(keyword: 'FROM' | 'TO', argument: string): PathArgument {
  const parsed = parsePathArgument(keyword, argument)
  if (typeof parsed === 'object') return parsed
  if (parsed === 'path') throw badPath(keyword)
  throw parsed === 'parameters'
    ? badParameter()
    : new SmtpError(501, '5.5.4', `Syntax: ${keyword === 'FROM' ? 'MAIL FROM' : 'RCPT TO'}:<address>`)
}

function parseBody(value: string): '7BIT' | '8BITMIME' | null {
  const body = value.toUpperCase()
  return body === '7BIT' || body === '8BITMIME' ? body : null
}

/** A parameter we know, with a value its RFC allows. */
function known<Value>(value: string | null, parse: (text: string) => Value | null): Value {
  const parsed = value === null ? null : parse(value)
  if (parsed === null) throw badParameter()
  return parsed
}

const badPath = (keyword: 'FROM' | 'TO'): SmtpError =>
  keyword === 'FROM'
    ? new SmtpError(501, '5.1.7', 'Bad sender address syntax')
    : new SmtpError(501, '5.1.3', 'Bad recipient address syntax')
const badParameter = (): SmtpError => new SmtpError(501, '5.5.4', 'Bad parameter')
const unknownParameter = (): SmtpError => new SmtpError(555, '5.5.4', 'Unknown parameter') // RFC 5321 §4.1.1.11
