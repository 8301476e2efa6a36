/**
 * What a submission server adds where the client left it out: Date and Message-ID. Nothing that is there is touched.
 *
 * STANDARDS  RFC 6409 §8.2, §8.3; RFC 5322 §3.3 (date-time), §3.6.4 (msg-id)
 */
import { formatDate, type HeaderField } from '@postbus/message'

export interface RepairPorts {
  now(): Date
  /** A word nobody used before. */
  unique(): string
  /** Our name: what makes the word unique in the world. */
  domain: string
}

/** Whole fields to put in front of the message, without line endings. */
export function missingFields(fields: readonly HeaderField[], { now, unique, domain }: RepairPorts): string[] {
  const present = new Set(fields.map(({ name }) => name.toLowerCase()))
  const added: string[] = []
  if (!present.has('date')) added.push(`Date: ${formatDate(now())}`)
  if (!present.has('message-id')) added.push(`Message-ID: <${unique()}@${domain}>`)
  return added
}
