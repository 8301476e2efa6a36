/**
 * Mailbox names between Unicode (inside) and modified UTF-7 or UTF-8 (on the wire).
 *
 * Only the one spelling of a name that we would write ourselves is read: two spellings of one name would be two mailboxes
 * to a client.
 *
 * STANDARDS  RFC 3501 §5.1.3 (modified UTF-7), §5.1 (INBOX); RFC 9051 §5.1
 */
import { ImapNameError } from './syntax-error.ts'

/** Between the levels of a name. */
export const SEPARATOR = '/'

const SHIFTED = /&([^-]*)-/g
const NOT_PRINTABLE = /[^\u0020-\u007e]+/g

/** @throws ImapNameError not modified UTF-7, or not the spelling it prescribes */
export function decodeUtf7(encoded: string): string {
  const decoded = encoded.replace(SHIFTED, (_, base64: string) => (base64 === '' ? '&' : fromBase64(base64)))
  if (encodeUtf7(decoded) !== encoded || !decoded.isWellFormed())
    throw new ImapNameError('Mailbox name is not modified UTF-7')
  return decoded
}

export function encodeUtf7(text: string): string {
  return text.replaceAll('&', '&-').replace(NOT_PRINTABLE, (run) => `&${toBase64(run)}-`)
}

/** A name as it came from a client. Clients that put UTF-8 where UTF-7 belongs are understood. @throws ImapNameError */
export function parseMailboxName(wire: string, { utf8 = false }: { utf8?: boolean }): string {
  // Anything beyond ASCII cannot be modified UTF-7
  const isAscii = /^[\u0000-\u007f]*$/.test(wire)
  const name = utf8 || !isAscii ? wire : decodeUtf7(wire)
  // Control characters would end the line a name is written on — RFC 9051 §5.1, RFC 9755 §3
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(name))
    throw new ImapNameError('Mailbox name with a control character')
  return spellInbox(name)
}

/** For the wire, before quoting. */
export function mailboxNameOnWire(name: string, { utf8 = false }: { utf8?: boolean }): string {
  return utf8 ? name : encodeUtf7(name)
}

/** INBOX in any case is INBOX, also as the first of several levels — RFC 9051 §5.1. */
export function spellInbox(name: string): string {
  return /^inbox(\/|$)/i.test(name) ? `INBOX${name.slice('INBOX'.length)}` : name
}

function fromBase64(base64: string): string {
  const bytes = Buffer.from(base64.replaceAll(',', '/'), 'base64')
  // UTF-16BE; what is odd, or not well formed, does not survive the comparison with its encoding.
  return bytes.length % 2 === 0 ? bytes.swap16().toString('utf16le') : ''
}

function toBase64(run: string): string {
  const bytes = Buffer.from(run, 'utf16le').swap16()
  return bytes.toString('base64').replaceAll('=', '').replaceAll('/', ',')
}
