/**
 * LIST patterns: `*` matches anything, `%` anything within one level — RFC 9051 §6.3.9.
 *
 * Matching walks all alternatives at once instead of backtracking, so that no pattern costs more than its length times
 * the name's.
 */
import { decodeUtf7, SEPARATOR, spellInbox } from './mailbox-name.ts'

const MAX_LENGTH = 1000
const MAX_WILDCARDS = 20
const INBOX = 'INBOX'

export class ListPattern {
  /** Undefined: it would cost too much to look for, and matches nothing — RFC 9051 §6.3.9. */
  readonly #pattern: string | undefined

  /** @param reference put before the pattern as it stands: the context a name is interpreted in */
  constructor(reference: string, pattern: string, { utf8 = false }: { utf8?: boolean } = {}) {
    const whole = `${reference}${pattern}`.replace(/[*%]*\*[*%]*/g, '*').replace(/%+/g, '%')
    if (whole.length > MAX_LENGTH || whole.replace(/[^*%]/g, '').length > MAX_WILDCARDS) return
    this.#pattern = spellInbox((utf8 ? whole : decodePattern(whole)).normalize('NFC'))
  }

  matches(name: string): boolean {
    if (this.#pattern === undefined) return false
    // INBOX in any case, above others as well — RFC 9051 §5.1.
    const isInbox = name === INBOX || name.startsWith(`${INBOX}${SEPARATOR}`)
    return matches(this.#pattern, name, isInbox ? INBOX.length : 0)
  }
}

/** Wildcards are not base64, so a pattern is as decodable as a name; what is not is compared as it stands. */
function decodePattern(pattern: string): string {
  try {
    return decodeUtf7(pattern)
  } catch {
    return pattern
  }
}

/** @param anyCase so many of the first characters of the name match in any case: they are ASCII, in capitals */
function matches(pattern: string, name: string, anyCase: number): boolean {
  let index = 0
  let states = withSkips(pattern, new Set([0]))
  for (const character of name) {
    const following = new Set<number>()
    for (const at of states) {
      const expected = pattern[at]
      if (expected === '*' || (expected === '%' && character !== SEPARATOR)) following.add(at)
      else if (expected === '%') continue
      else if (pattern.startsWith(character, at) || (index < anyCase && expected?.toUpperCase() === character))
        following.add(at + character.length)
    }
    index++
    if (following.size === 0) return false
    states = withSkips(pattern, following)
  }
  return states.has(pattern.length)
}

/** A wildcard may match nothing. */
function withSkips(pattern: string, states: Set<number>): Set<number> {
  // A Set hands out what is added while it is walked.
  for (const at of states) if (pattern[at] === '*' || pattern[at] === '%') states.add(at + 1)
  return states
}
