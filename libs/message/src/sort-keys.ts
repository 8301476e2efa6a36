/**
 * What a mailbox is sorted and threaded by, and searched by day, worked out of a header once.
 *
 * Strings are in the form of i;unicode-casemap, so that comparing them is comparing octets, and cut to MAX_KEY characters.
 *
 * STANDARDS  RFC 5256 §2.2, §3 (SORT), §5 (THREAD); RFC 5957 §3 (display names); RFC 5255 §4.6
 */
import { type AddressGroup, type MailboxAddress, parseAddressList, shownAddress } from './address.ts'
import { baseSubject } from './base-subject.ts'
import { casemap } from './casemap.ts'
import { parseDate } from './date.ts'
import { decodeWords } from './encoded-words.ts'
import { unfoldedFields } from './decoded-text.ts'
import { parseMessageIds } from './message-id.ts'

export interface SortKeys {
  /** Milliseconds since 1970 of the Date field; null without a usable one. */
  sentAt: number | null
  /** The day as its author wrote it, `YYYY-MM-DD`: what SENTON compares. */
  sentDay: string | null
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

/** Of a field that is there several times the first counts, as in Dovecot. @param header at least the fields up to References */
export function sortKeysOf(header: Uint8Array): SortKeys {
  const first = new Map<string, string>()
  let references: string[] = []
  for (const { name, value } of unfoldedFields(header, FIELDS)) {
    const field = name.toLowerCase()
    if (!first.has(field)) first.set(field, value)
    if (field === 'references' && references.length === 0) references = identifiers(value)
  }
  const value = (field: string): string => first.get(field) ?? ''
  // RFC 5256 §5: References; without a valid identifier in it, the first one of In-Reply-To.
  if (references.length === 0) references = identifiers(value('in-reply-to')).slice(0, 1)
  const { subject, isReply } = baseSubject(value('subject'))
  const sent = parseDate(value('date'))
  const [from, to, cc] = [value('from'), value('to'), value('cc')].map((list) => parseAddressList(list)[0])
  return {
    sentAt: sent?.time.getTime() ?? null,
    sentDay: sent?.day ?? null,
    subject: key(subject),
    isReply,
    from: key(mailboxOf(from)),
    to: key(mailboxOf(to)),
    cc: key(mailboxOf(cc)),
    displayFrom: key(displayOf(from)),
    displayTo: key(displayOf(to)),
    messageId: identifiers(value('message-id'))[0] ?? null,
    references: [...new Set(references)].slice(-MAX_REFERENCES),
  }
}

const FIELDS = ['subject', 'date', 'from', 'to', 'cc', 'message-id', 'in-reply-to', 'references']

function key(text: string): string {
  // Cut twice: before, so that a megabyte is not folded; after, because folding may make it longer.
  return casemap(text.slice(0, MAX_KEY)).slice(0, MAX_KEY)
}

type FirstAddress = MailboxAddress | AddressGroup | undefined

/** RFC 5256 §3: addr-mailbox of the first address; ENVELOPE shows the name of a group there. */
function mailboxOf(first: FirstAddress): string {
  if (first === undefined) return ''
  return first.kind === 'group' ? first.name : shownAddress(first).localPart
}

/** RFC 5957 §3: the name, else the address. */
function displayOf(first: FirstAddress): string {
  if (first === undefined) return ''
  if (first.kind === 'group') return first.name
  const { localPart, domain } = shownAddress(first)
  return decodeWords(first.name ?? '') || `${localPart}@${domain}`
}

/** Valid ones, each in one spelling (RFC 5256 §5) and without blanks, which stand between them where they are stored. */
function identifiers(value: string): string[] {
  return parseMessageIds(value)
    .map((id) => id.replaceAll(/\s/g, (blank) => encodeURIComponent(blank)))
    .filter((id) => id.length <= MAX_ID && /^<[^@]+@[^@]/.test(id))
}
