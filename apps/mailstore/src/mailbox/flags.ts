/**
 * Flags: the five system flags as bits of one number, keywords as names.
 *
 * STANDARDS  RFC 9051 §2.3.2 (flags compare without regard to case; \Recent is no flag of ours)
 */

export const SEEN = 8
export const DELETED = 4

const system: readonly (readonly [string, number])[] = [
  ['\\Answered', 1],
  ['\\Flagged', 2],
  ['\\Deleted', DELETED],
  ['\\Seen', SEEN],
  ['\\Draft', 16],
]
const bitOf = new Map(system.map(([name, bit]) => [name.toLowerCase(), bit]))

/** A flag-keyword is an atom — RFC 9051 §9 `flag-keyword`. */
const KEYWORD = /^[^\s\u0000-\u0020\u007f-\uffff(){%*"\\\]]+$/

export interface FlagSet {
  system: number
  /** As the client wrote them, each once. */
  keywords: string[]
}

/** Flags nobody can set (`\Recent`, an unknown `\Flag`) and what is no atom are left out — RFC 9051 §2.3.2. */
export function parseFlags(flags: readonly string[]): FlagSet {
  let bits = 0
  const keywords = new Map<string, string>()
  for (const flag of flags) {
    const bit = bitOf.get(flag.toLowerCase())
    if (bit !== undefined) bits |= bit
    else if (KEYWORD.test(flag)) keywords.set(foldKeyword(flag), flag)
  }
  return { system: bits, keywords: [...keywords.values()] }
}

const namesOf = Array.from({ length: 32 }, (_, bits) => system.filter(([, bit]) => bits & bit).map(([name]) => name))

export function systemFlagNames(bits: number): string[] {
  return [...(namesOf[bits & 31] ?? [])]
}

export const systemFlagBit = (flag: string): number | undefined => bitOf.get(flag.toLowerCase())

export const foldKeyword = (keyword: string): string => keyword.toLowerCase()
