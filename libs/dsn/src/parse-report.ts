/**
 * Reads the part of a report that machines read, whoever wrote it. Total: what is no report gives undefined, what is
 * broken gives what could be read.
 *
 * STANDARDS  RFC 3464 §2; RFC 6522 §2; RFC 6533 §3
 */
import { headerEnd, mediaTypeOf, type MessagePart, parameter, parseDate, parseHeader } from '@postbus/message'
import { decodeUtf8Address } from '@postbus/smtp'

import type { Action } from './facts.ts'

/** `type; value` of RFC 3464 §2.1.2. */
export interface TypedValue {
  /** In lower case. */
  type: string
  value: string
}

export interface RecipientStatus {
  originalRecipient?: TypedValue
  finalRecipient?: TypedValue
  action?: Action
  /** As in `5.1.1`; a comment behind it is left out. */
  status?: string
  remoteMta?: TypedValue
  diagnosticCode?: TypedValue
  lastAttemptAt?: Date
  finalLogId?: string
  willRetryUntil?: Date
}

export interface DeliveryStatus {
  envid?: string
  reportingMta?: TypedValue
  arrivedAt?: Date
  recipients: RecipientStatus[]
}

/** More groups of one report are not read. */
const MAX_RECIPIENTS = 10_000

/**
 * The part of a multipart/report that `parseDeliveryStatus` reads: the second by RFC 6522 §3, but some put another in front.
 * Undefined if the message is no such report.
 */
export function findDeliveryStatus(root: MessagePart): MessagePart | undefined {
  const { type, subtype } = mediaTypeOf(root)
  if (type !== 'multipart' || subtype !== 'report') return undefined
  const reportType = parameter(root.contentType?.params ?? [], 'report-type')
  if (reportType !== undefined && reportType.toLowerCase() !== 'delivery-status') return undefined
  return root.parts?.find((part) => {
    const media = mediaTypeOf(part)
    const known = media.subtype === 'delivery-status' || media.subtype === 'global-delivery-status'
    return media.type === 'message' && known
  })
}

/** `body` is the part's body after its transfer encoding was undone. */
export function parseDeliveryStatus(body: Uint8Array): DeliveryStatus | undefined {
  const groups = fieldGroups(body)
  const [message, ...others] = groups
  if (message === undefined) return undefined
  // Some forget the empty line behind the fields about the message, or those fields.
  const recipients = isAboutRecipient(message) ? groups : others
  return { ...messageStatus(message), recipients: recipients.map(recipientStatus) }
}

const isAboutRecipient = (fields: Map<string, string>): boolean =>
  fields.has('final-recipient') || fields.has('original-recipient')

/**
 * Groups of fields, by name in lower case. An empty line ends one; where it was forgotten, or holds a blank, a field that begins the next
 * one does: what is said of one recipient must not become another's. Of other fields that repeat the first counts.
 */
function fieldGroups(body: Uint8Array): Map<string, string>[] {
  const groups: Map<string, string>[] = []
  for (let at = 0; at < body.length && groups.length <= MAX_RECIPIENTS;) {
    const end = headerEnd(body, at)
    let group = new Map<string, string>()
    let before = ''
    for (const { name, value } of parseHeader(body.subarray(at, end < 0 ? body.length : end))) {
      const key = name.toLowerCase()
      if (beginsAnother(key, group, before)) {
        groups.push(group)
        group = new Map()
      }
      if (key !== '' && !group.has(key)) group.set(key, value)
      before = key
    }
    // Some write two empty lines.
    if (group.size > 0) groups.push(group)
    if (end < 0) break
    at = end
  }
  return groups
}

function beginsAnother(key: string, group: ReadonlyMap<string, string>, before: string): boolean {
  if (group.has(key)) return ONCE.has(key)
  // Both addresses of a recipient stand beside each other, in either order.
  return key === 'original-recipient' && group.has('final-recipient') && before !== 'final-recipient'
}

const ONCE = new Set(['final-recipient', 'original-recipient', 'action'])

function messageStatus(fields: Map<string, string>): Omit<DeliveryStatus, 'recipients'> {
  return defined({
    envid: fields.get('original-envelope-id'),
    reportingMta: typedValue(fields.get('reporting-mta')),
    arrivedAt: date(fields.get('arrival-date')),
  })
}

function recipientStatus(fields: Map<string, string>): RecipientStatus {
  return defined({
    originalRecipient: addressValue(fields.get('original-recipient')),
    finalRecipient: addressValue(fields.get('final-recipient')),
    action: ACTIONS.find((action) => action === withoutComment(fields.get('action'))?.toLowerCase()),
    status: /^[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9])/.exec(fields.get('status') ?? '')?.[0],
    remoteMta: typedValue(fields.get('remote-mta')),
    diagnosticCode: typedValue(fields.get('diagnostic-code')),
    lastAttemptAt: date(fields.get('last-attempt-date')),
    finalLogId: fields.get('final-log-id'),
    willRetryUntil: date(fields.get('will-retry-until')),
  })
}

const ACTIONS: readonly Action[] = ['failed', 'delayed', 'delivered', 'relayed', 'expanded']

function typedValue(field: string | undefined): TypedValue | undefined {
  const semicolon = field?.indexOf(';') ?? -1
  if (field === undefined || semicolon <= 0) return undefined
  return { type: field.slice(0, semicolon).trim().toLowerCase(), value: field.slice(semicolon + 1).trim() }
}

function addressValue(field: string | undefined): TypedValue | undefined {
  const typed = typedValue(field) ?? untyped(field)
  if (typed === undefined) return undefined
  // Some write a path where an address belongs.
  const value = /^<(.*)>$/.exec(typed.value)?.[1] ?? typed.value
  return { type: typed.type, value: typed.type === 'utf-8' ? (decodeUtf8Address(value) ?? value) : value }
}

/** Some leave the type out. */
function untyped(field: string | undefined): TypedValue | undefined {
  const value = field?.trim() ?? ''
  return value.includes('@') ? { type: 'rfc822', value } : undefined
}

function date(field: string | undefined): Date | undefined {
  return field === undefined ? undefined : parseDate(field)?.time
}

function withoutComment(field: string | undefined): string | undefined {
  return field?.split('(', 1)[0]?.trim()
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Without the properties that are undefined: absent is absent. */
function defined<T extends object>(value: T): Defined<T> {
  // Object.fromEntries forgets the keys' types; the entries are those of `value`.
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as Defined<T>
}
