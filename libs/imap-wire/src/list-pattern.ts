/**
 * LIST patterns: `*` matches anything, `%` anything within one level — RFC 9051 §6.3.9.
 *
 * Matching walks all alternatives at once instead of backtracking, so that no pattern costs more than its length times
 * the name's.
 */
import { decodeUtf7, SEPARATOR, spellInbox } from './mailbox-name.ts'
import { ImapSyntaxError } from './syntax-error.ts'

const MAX_LENGTH = 1000
const MAX_WILDCARDS = 20

export class ListPattern {
  readonly #pattern: string

  /**
   * @param reference put before the pattern as it stands: the context a name is interpreted in
   * @throws ImapSyntaxError
   */
  constructor(reference: string, pattern: string, { utf8 = false }: { utf8?: boolean } = {}) {
    const whole = `${reference}${pattern}`.replace(/[*%]*\*[*%]*/g, '*').replace(/%+/g, '%')
    if (whole.length > MAX_LENGTH) throw new ImapSyntaxError(`Mailbox pattern longer than ${MAX_LENGTH}`)
    if (whole.replace(/[^*%]/g, '').length > MAX_WILDCARDS)
      throw new ImapSyntaxError(`More than ${MAX_WILDCARDS} wildcards in a mailbox pattern`)
    this.#pattern = spellInbox(utf8 ? whole : decodePattern(whole))
  }

  matches(name: string): boolean {
    return matches(this.#pattern, name) || (name === 'INBOX' && matches(this.#pattern.toUpperCase(), name))
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

function matches(pattern: string, name: string): boolean {
  let states = withSkips(pattern, new Set([0]))
  for (const character of name) {
    const following = new Set<number>()
    for (const at of states) {
      const expected = pattern[at]
      if (expected === '*' || (expected === '%' && character !== SEPARATOR)) following.add(at)
      else if (expected !== '%' && pattern.startsWith(character, at)) following.add(at + character.length)
    }
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
