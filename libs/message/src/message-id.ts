/**
 * Message identifiers, with their angle brackets.
 *
 * STANDARDS  RFC 5322 §3.6.4
 */

/** At most this many identifiers are read of one field; References grow with a thread. */
const MAX_IDS = 1000

/** Unique if `random` (at least 10 octets) is; the time in front only helps a person who looks for it in a log. */
export function createMessageId(random: Uint8Array, time: Date, domain: string): string {
  const unique = Buffer.from(random).toString('hex')
  return `<${time.getTime().toString(36)}.${unique}@${domain}>`
}

/**
 * The identifiers of Message-ID, In-Reply-To and References. Phrases between them (obsolete, RFC 5322 §4.5.4) and blanks
 * inside them are left out.
 */
export function parseMessageIds(value: string): string[] {
  const ids: string[] = []
  let at = 0
  while (ids.length < MAX_IDS) {
    const end = value.indexOf('>', at)
    if (end < 0) break
    // The last bracket before the end: a quoted phrase before it may hold one.
    const before = value.slice(at, end)
    const start = before.lastIndexOf('<')
    const id = before.slice(start + 1).replaceAll(/[ \t\r\n]/g, '')
    if (start >= 0 && id !== '') ids.push(`<${id}>`)
    at = end + 1
  }
  return ids
}
