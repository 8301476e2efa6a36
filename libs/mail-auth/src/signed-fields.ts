/**
 * Which header fields a signature covers.
 *
 * Fields that a message has once and a reader sees or software acts on are named once more than they occur: one added on the
 * way would be shown in place of the signed one, and breaks the signature instead. That holds for absent ones too. What lists
 * and resenders add lawfully is covered as far as it is there. Trace fields, Sender and Return-Path are changed on the way and
 * are left alone; Sender is not among those the RFC names either.
 *
 * STANDARDS  RFC 6376 §5.4.1, §5.4.2, §8.15; RFC 5322 §3.6; RFC 8058 §4
 */
import type { HeaderField } from '@postbus/message'

const ONCE = [
  ...['from', 'reply-to', 'subject', 'date', 'message-id', 'to', 'cc', 'in-reply-to', 'references'],
  ...['mime-version', 'content-type', 'content-transfer-encoding'],
]
const WHERE_PRESENT = [
  ...['content-disposition', 'content-id', 'content-description', 'auto-submitted'],
  ...['resent-date', 'resent-from', 'resent-to', 'resent-cc', 'resent-message-id'],
  // RFC 8058 §4: one-click unsubscription counts only if it is signed.
  ...['list-unsubscribe', 'list-unsubscribe-post'],
  ...['list-id', 'list-help', 'list-subscribe', 'list-post', 'list-owner', 'list-archive'],
]

export interface SignedFields {
  /** What `h=` names, in order. */
  names: string[]
  /** The fields they stand for. A name beyond the last field of that name stands for nothing. */
  fields: HeaderField[]
}

export function signedFields(fields: readonly HeaderField[]): SignedFields {
  const present = Map.groupBy(fields, ({ name }) => name.toLowerCase())
  const signed: SignedFields = { names: [], fields: [] }
  const cover = (name: string, further: number): void => {
    // RFC 6376 §5.4.2: the one nearest to the body first.
    const own = present.get(name)?.toReversed() ?? []
    signed.fields.push(...own)
    for (let count = own.length + further; count > 0; count--) signed.names.push(name)
  }
  for (const name of ONCE) cover(name, 1)
  for (const name of WHERE_PRESENT) cover(name, 0)
  return signed
}
