/**
 * The part of a report that machines read.
 *
 * STANDARDS  RFC 3464 §2.1–2.3; RFC 3461 §6.3 (Original-Recipient, Original-Envelope-Id); RFC 6533 §3 (utf-8 addresses)
 */
import { formatDate, formatField } from '@postbus/message'
import { encodeUtf8Address } from '@postbus/smtp'

import type { RecipientReport, ReportFacts } from './facts.ts'

/** With `utf8` it is message/global-delivery-status, and addresses stand as they are. */
export function statusPart(facts: ReportFacts, utf8: boolean): string {
  const groups = [messageFields(facts), ...facts.recipients.map((recipient) => recipientFields(facts, recipient, utf8))]
  return groups
    .map((fields) => fields.map(([name, value]) => formatField(name, utf8 ? value : asciiOnly(value))).join(''))
    .join('\r\n')
}

type Fields = [name: string, value: string][]

function messageFields({ original, reportingMta }: ReportFacts): Fields {
  const fields: Fields = []
  // RFC 3461 §6.3: present if and only if the sender gave an ENVID.
  if (original.envid !== undefined) fields.push(['Original-Envelope-Id', original.envid])
  fields.push(['Reporting-MTA', `dns; ${reportingMta}`], ['Arrival-Date', formatDate(original.arrivedAt)])
  return fields
}

function recipientFields({ original }: ReportFacts, recipient: RecipientReport, utf8: boolean): Fields {
  const { orcpt, finalRecipient, action, status, mxHost, reply, lastAttemptAt, willRetryUntil } = recipient
  const fields: Fields = []
  // RFC 3464 §2.3.1: before Final-Recipient, and only what the sender gave.
  if (orcpt !== undefined) fields.push(['Original-Recipient', originalRecipient(orcpt, utf8)])
  fields.push(['Final-Recipient', address(finalRecipient, utf8)], ['Action', action], ['Status', status])
  if (mxHost !== undefined) fields.push(['Remote-MTA', `dns; ${mxHost}`])
  if (reply !== undefined && reply !== '')
    fields.push(['Diagnostic-Code', `smtp; ${breakable(reply.replaceAll(/\s*[\r\n]+\s*/g, ' '))}`])
  if (lastAttemptAt !== undefined) fields.push(['Last-Attempt-Date', formatDate(lastAttemptAt)])
  fields.push(['Final-Log-ID', original.queueId])
  // RFC 3464 §2.3.9: only where the action is delayed.
  if (action === 'delayed' && willRetryUntil !== undefined)
    fields.push(['Will-Retry-Until', formatDate(willRetryUntil)])
  return fields
}

function address(value: string, utf8: boolean): string {
  if (isAscii(value)) return `rfc822; ${value}`
  return `utf-8; ${utf8 ? value : encodeUtf8Address(value)}`
}

function originalRecipient(orcpt: string, utf8: boolean): string {
  const semicolon = orcpt.indexOf(';')
  const type = orcpt.slice(0, semicolon)
  const value = orcpt.slice(semicolon + 1)
  return `${type};${utf8 || isAscii(value) ? value : encodeUtf8Address(value)}`
}

export function isAscii(text: string): boolean {
  // NUL to DEL is what ASCII is
  return /^[\x00-\x7f]*$/.test(text)
}

/** RFC 5322 §2.1.1: no line beyond 998 octets, whatever others write in their replies. */
export function breakable(text: string): string {
  return text.replaceAll(/\S{200}/gu, '$& ')
}

/** What has no form in ASCII, such as a reply in another language, loses its letters but not its codes. */
function asciiOnly(text: string): string {
  return text.replaceAll(/[^\x09\x0a\x0d\x20-\x7e]/gu, '?')
}
