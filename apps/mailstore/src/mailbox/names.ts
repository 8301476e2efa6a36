/**
 * Mailbox names: one spelling for each mailbox, and the levels above and below it.
 *
 * STANDARDS  RFC 9051 §5.1 (INBOX in any case, hierarchy), §5.1.1 (Net-Unicode); RFC 6154 §2 (special use)
 */

export const INBOX = 'INBOX'
export const SEPARATOR = '/'

/** One level, in octets: what a file name may have, so that an export to Maildir keeps every name. */
export const MAX_LEVEL_BYTES = 255
export const MAX_NAME_BYTES = 1000
export const MAX_LEVELS = 30

/** Attributes a client may give to a mailbox it creates. \All and \Flagged are views, which we do not have. */
export const creatableUses: readonly string[] = ['\\Archive', '\\Drafts', '\\Junk', '\\Sent', '\\Trash', '\\Important']

/** Null: no name a mailbox of ours could have. A trailing separator only says that levels will follow — RFC 9051 §6.3.4. */
export function normalizeName(name: string): string | null {
  const levels = name.normalize('NFC').split(SEPARATOR)
  if (levels.length > 1 && levels.at(-1) === '') levels.pop()
  // RFC 9051 §5.1: INBOX is special in any case, also as the level above others.
  if (levels[0]?.toUpperCase() === INBOX) levels[0] = INBOX
  if (levels.length > MAX_LEVELS || levels.some(isNoLevel)) return null
  const joined = levels.join(SEPARATOR)
  return Buffer.byteLength(joined) <= MAX_NAME_BYTES ? joined : null
}

// RFC 5198 §2: no control characters; U+2028 and U+2029 end lines as well. Lone surrogates have no UTF-8.
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

function isNoLevel(level: string): boolean {
  return level === '' || FORBIDDEN.test(level) || !level.isWellFormed() || Buffer.byteLength(level) > MAX_LEVEL_BYTES
}

/** `a/b/c` → `a`, `a/b`. */
export function superiors(name: string): string[] {
  const levels = name.split(SEPARATOR)
  return levels.slice(0, -1).map((_, index) => levels.slice(0, index + 1).join(SEPARATOR))
}

export const isBelow = (name: string, superior: string): boolean => name.startsWith(superior + SEPARATOR)
