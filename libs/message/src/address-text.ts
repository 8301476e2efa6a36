/**
 * A list of addresses as one text in one spelling, however its field was written: what SEARCH looks at for BCC, CC, FROM and TO, which
 * ask for the envelope's fields and not for the header's. Comments, folds and needless quotes are gone. RFC 9051 does not say how an
 * address of the envelope becomes a string; this is the way Dovecot has.
 *
 * STANDARDS  RFC 9051 §6.4.4 (FROM), §7.5.2 (ENVELOPE); RFC 5322 §3.4
 */
import { type AddressGroup, type MailboxAddress, parseAddressList, shownAddress } from './address.ts'

/** @param value of the field, unfolded. Encoded words stay as they are, and are not put into quotes, where they would be none */
export const addressText = (value: string): string => parseAddressList(value).map(textOf).join(', ')

const textOf = (address: MailboxAddress | AddressGroup): string =>
  address.kind === 'group'
    ? `${quotedUnless(WORD, address.name)}:${members(address.members.map(mailboxText))};`
    : mailboxText(address)

const members = (texts: readonly string[]): string => (texts.length === 0 ? '' : ` ${texts.join(', ')}`)

function mailboxText(address: MailboxAddress): string {
  const { route, localPart, domain } = shownAddress(address)
  const brackets = `<${route === undefined ? '' : `${route}:`}${quotedUnless(DOT_ATOM, localPart)}@${domain}>`
  return address.name ? `${quotedUnless(WORD, address.name)} ${brackets}` : brackets
}

/** RFC 5322 §3.2.3 (atext), RFC 6532 §3.2 */
const WORD = /^[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+$/
const DOT_ATOM = /^[\w!#$%&'*+/=?^`{|}~\u0080-\uffff.-]+$/

function quotedUnless(plain: RegExp, text: string): string {
  return plain.test(text) || text.includes('=?') ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}
