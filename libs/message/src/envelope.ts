/**
 * IMAP's ENVELOPE: the header fields a list of messages shows. Not the SMTP envelope.
 *
 * Strings are octet strings (see octets.ts), unfolded, neither RFC 2047-decoded nor trimmed. Of a repeated field the last
 * counts; repeated address fields are read as one list, as Dovecot does.
 *
 * STANDARDS  RFC 9051 §7.5.2 (ENVELOPE); RFC 3501 §7.4.2
 */
import { type AddressGroup, type MailboxAddress, parseAddressList } from './address.ts'

export type Addresses = (MailboxAddress | AddressGroup)[]

/** A field that is missing is absent; one that is there without content is ''. Sender and Reply-To are not filled from From here. */
export interface ImapEnvelope {
  date?: string
  subject?: string
  from?: Addresses
  sender?: Addresses
  replyTo?: Addresses
  to?: Addresses
  cc?: Addresses
  bcc?: Addresses
  inReplyTo?: string
  messageId?: string
}

const TEXT_FIELDS: Record<string, 'date' | 'subject' | 'inReplyTo' | 'messageId'> = {
  date: 'date',
  subject: 'subject',
  'in-reply-to': 'inReplyTo',
  'message-id': 'messageId',
}

const ADDRESS_FIELDS: Record<string, 'from' | 'sender' | 'replyTo' | 'to' | 'cc' | 'bcc'> = {
  from: 'from',
  sender: 'sender',
  'reply-to': 'replyTo',
  to: 'to',
  cc: 'cc',
  bcc: 'bcc',
}

export function isEnvelopeField(name: string): boolean {
  return Object.hasOwn(TEXT_FIELDS, name) || isAddressField(name)
}

export function isAddressField(name: string): boolean {
  return Object.hasOwn(ADDRESS_FIELDS, name)
}

/** `fields` in order: name in lower case, value as an octet string; those of addresses may still be folded. */
export function envelopeOf(fields: Iterable<readonly [name: string, value: string]>): ImapEnvelope {
  const envelope: ImapEnvelope = {}
  for (const [name, value] of fields) {
    const text = Object.hasOwn(TEXT_FIELDS, name) ? TEXT_FIELDS[name] : undefined
    if (text !== undefined) {
      envelope[text] = value
      continue
    }
    const list = Object.hasOwn(ADDRESS_FIELDS, name) ? ADDRESS_FIELDS[name] : undefined
    if (list === undefined) continue
    for (const address of parseAddressList(value)) {
      const addresses = envelope[list] ?? []
      if (addresses.push(address) === 1) envelope[list] = addresses
    }
  }
  return envelope
}
