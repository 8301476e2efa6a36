/**
 * What a mailbox is sorted and threaded by, worked out of a header once.
 *
 * Strings are in the form of i;unicode-casemap, so that comparing them is comparing octets, and cut to MAX_KEY characters.
 *
 * STANDARDS  RFC 5256 §2.2, §3 (SORT), §5 (THREAD); RFC 5957 §3 (display names); RFC 5255 §4.6
 */
import type { MailboxAddress, AddressGroup } from './address.ts'
import { baseSubject } from './base-subject.ts'
import { casemap } from './casemap.ts'
import { parseDate } from './date.ts'
import { decodeWords } from './encoded-words.ts'
import type { Addresses, ImapEnvelope } from './envelope.ts'
import { asBuffer, fieldsNamed, fieldValue } from './header.ts'
import { parseMessageIds } from './message-id.ts'
import { octetsToText } from './octets.ts'

export interface SortKeys {
  /** Milliseconds since 1970 of the Date field; null without a usable one. */
  sentAt: number | null
  /** The base subject. */
  subject: string
  /** The subject had a mark of a reply or forward. */
  isReply: boolean
  /** The mailbox of the first address of each field; '' where there is none. */
  from: string
  to: string
  cc: string
  displayFrom: string
  displayTo: string
  /** With its brackets; null without a valid one. */
  messageId: string | null
  /** The messages this one answers, the oldest first; never one twice. */
  references: string[]
}

/** Nobody tells longer ones apart in a list. */
const MAX_KEY = 1000
/** The nearest ancestors: those before them are linked by the messages between. */
const MAX_REFERENCES = 100
/** RFC 5322 §2.1.1: a line has 998 octets, and an identifier cannot be folded. */
const MAX_ID = 998

/** @param header at least the fields up to References */
export function sortKeysOf(envelope: ImapEnvelope, header: Uint8Array): SortKeys {
  const { subject, isReply } = baseSubject(octetsToText(envelope.subject ?? ''))
  return {
    sentAt: parseDate(envelope.date ?? '')?.time.getTime() ?? null,
    subject: key(subject),
    isReply,
    from: key(mailboxOf(envelope.from)),
    to: key(mailboxOf(envelope.to)),
    cc: key(mailboxOf(envelope.cc)),
    displayFrom: key(displayOf(envelope.from)),
    displayTo: key(displayOf(envelope.to)),
    messageId: identifiers(envelope.messageId ?? '')[0] ?? null,
    references: referencesOf(envelope, header),
  }
}

function key(text: string): string {
  // Cut twice: before, so that a megabyte is not folded; after, because folding may make it longer.
  return casemap(text.slice(0, MAX_KEY)).slice(0, MAX_KEY)
}

/** RFC 5256 §3: addr-mailbox of the first address; ENVELOPE shows the name of a group there. */
function mailboxOf(addresses: Addresses | undefined): string {
  const first = addresses?.[0]
  if (first === undefined) return ''
  return octetsToText(first.kind === 'group' ? first.name : (first.localPart ?? ''))
}

/** RFC 5957 §3: the name, else the address, else what there is of it. */
function displayOf(addresses: Addresses | undefined): string {
  const first = addresses?.[0]
  if (first === undefined) return ''
  return nameOf(first) || addressOf(first)
}

function nameOf(address: MailboxAddress | AddressGroup): string {
  return address.kind === 'group' ? '' : decodeWords(octetsToText(address.name ?? ''))
}

function addressOf(address: MailboxAddress | AddressGroup): string {
  if (address.kind === 'group') return octetsToText(address.name)
  const { localPart, domain } = address
  if (localPart === undefined) return ''
  return octetsToText(domain === undefined ? localPart : `${localPart}@${domain}`)
}

/** RFC 5256 §5: References; without a valid identifier in it, the first one of In-Reply-To. */
function referencesOf(envelope: ImapEnvelope, header: Uint8Array): string[] {
  const buffer = asBuffer(header)
  for (const { valueStart, end } of fieldsNamed(buffer, 'references')) {
    const found = identifiers(fieldValue(buffer, valueStart, end))
    if (found.length > 0) return [...new Set(found)].slice(-MAX_REFERENCES)
  }
  return identifiers(envelope.inReplyTo ?? '').slice(0, 1)
}

/** Valid ones in one spelling: `<"a"@b>` and `<a@b>` are the same — RFC 5256 §5 (REFERENCES). */
function identifiers(value: string): string[] {
  return parseMessageIds(value)
    .map((id) => id.replaceAll(/"((?:\\.|[^"\\])*)"/g, (_, quoted: string) => quoted.replaceAll(/\\(.)/g, '$1')))
    .filter((id) => id.length <= MAX_ID && /^<[^@]+@[^@]/.test(id))
}
