/**
 * Sections cut out of the headers of a page of messages, kept for whoever asks for the same again: mail readers ask for the
 * same few fields of a whole mailbox whenever they open it.
 *
 * Nothing kept here can be out of date. A page is known by its emails, whose octets never change and whose numbers are never
 * given to others; which messages there are and what flags they have is read anew every time.
 */
import type { Section } from '@postbus/contracts'

export interface HeaderPage {
  /** How many of the emails, from the first on, it is of. */
  count: number
  /** Of each section of each, message by message. */
  lengths: number[]
  /** In memory that threads share: what is kept is given away as well. */
  octets: Uint8Array<SharedArrayBuffer>
}

/** What is asked of all the messages. */
export interface HeadersOf {
  mailbox: number
  /** The first UID of those asked for: a page of all messages begins where it did before. */
  from: number
  sections: readonly Section[]
}

export interface HeaderPages {
  /** Whether anything is kept of it. */
  has(of: HeadersOf): boolean
  /** What was cut of these emails before. */
  get(of: HeadersOf, emails: readonly number[]): HeaderPage | undefined
  keep(of: HeadersOf, emails: readonly number[], page: HeaderPage): void
}

/** A page of fewer is read as quickly as it is found. */
const MIN_EMAILS = 16
/** What a length takes, about. */
const LENGTH_COST = 8

interface Kept {
  page: HeaderPage
  bytes: number
  group: string
}

/** @param maxBytes what all pages together may take; those not used for longest go */
export function headerPages(maxBytes: number): HeaderPages {
  /** The page used last is the last. */
  const pages = new Map<string, Kept>()
  /** How many of them are of the same sections of one mailbox, from the same UID on. */
  const groups = new Map<string, number>()
  let held = 0

  function drop(key: string): void {
    const kept = pages.get(key)
    if (kept === undefined) return
    pages.delete(key)
    held -= kept.bytes
    const others = (groups.get(kept.group) ?? 0) - 1
    if (others > 0) groups.set(kept.group, others)
    else groups.delete(kept.group)
  }

  return {
    has: (of) => groups.has(groupOf(of)),
    get(of, emails) {
      if (emails.length < MIN_EMAILS) return undefined
      const key = keyOf(groupOf(of), emails)
      const kept = pages.get(key)
      if (kept === undefined) return undefined
      pages.delete(key)
      pages.set(key, kept)
      return kept.page
    },
    keep(of, emails, page) {
      if (emails.length < MIN_EMAILS) return
      const group = groupOf(of)
      const key = keyOf(group, emails)
      const bytes = page.octets.length + key.length + page.lengths.length * LENGTH_COST
      if (bytes > maxBytes) return
      drop(key)
      pages.set(key, { page, bytes, group })
      groups.set(group, (groups.get(group) ?? 0) + 1)
      held += bytes
      for (const oldest of pages.keys()) {
        if (held <= maxBytes) return
        drop(oldest)
      }
    },
  }
}

const groupOf = ({ mailbox, from, sections }: HeadersOf): string => `${mailbox} ${from} ${JSON.stringify(sections)}`
const keyOf = (group: string, emails: readonly number[]): string => `${group} ${emails.join()}`
