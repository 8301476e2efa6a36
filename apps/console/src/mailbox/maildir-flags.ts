/**
 * Flags in the name of a file of a Maildir: `:2,FS`, and keywords as letters `a`–`z` by a table in `dovecot-keywords`, as Dovecot
 * keeps it.
 */
const letters: readonly (readonly [letter: string, flag: string])[] = [
  ['D', '\\Draft'],
  ['F', '\\Flagged'],
  ['P', '$Forwarded'],
  ['R', '\\Answered'],
  ['S', '\\Seen'],
  ['T', '\\Deleted'],
]
const flagOf = new Map(letters)
const letterOf = new Map(letters.map(([letter, flag]) => [flag.toLowerCase(), letter]))
const FIRST = 'a'.charCodeAt(0)

export const KEYWORDS_FILE = 'dovecot-keywords'
export const MAX_KEYWORDS = 26

/** Name of a file without its flags, and these. */
export function splitFileName(file: string): { base: string; letters: string } {
  const at = file.lastIndexOf(':2,')
  return at === -1 ? { base: file, letters: '' } : { base: file.slice(0, at), letters: file.slice(at + 3) }
}

/** Letters nobody explained are left out. */
export function flagsOf(fileLetters: string, keywords: readonly string[]): string[] {
  return [...fileLetters].flatMap((letter) => flagOf.get(letter) ?? keywords[letter.charCodeAt(0) - FIRST] ?? [])
}

/** The letters in their order, keywords added to the table, and those it had no room for. */
export function lettersOf(flags: readonly string[], keywords: string[]): { letters: string; left: string[] } {
  const found: string[] = []
  const left: string[] = []
  for (const flag of flags) {
    const letter = letterOf.get(flag.toLowerCase())
    if (letter !== undefined) {
      found.push(letter)
      continue
    }
    let index = keywords.findIndex((keyword) => keyword.toLowerCase() === flag.toLowerCase())
    if (index === -1 && keywords.length < MAX_KEYWORDS) index = keywords.push(flag) - 1
    if (index === -1) left.push(flag)
    else found.push(String.fromCharCode(FIRST + index))
  }
  return { letters: found.toSorted().join(''), left }
}

/** `0 $Work`, a line each. */
export function parseKeywords(text: string): string[] {
  const keywords: string[] = []
  for (const line of text.split('\n')) {
    const [, index, keyword] = /^(\d{1,2}) (\S{1,200})$/.exec(line) ?? []
    if (keyword !== undefined && Number(index) < MAX_KEYWORDS) keywords[Number(index)] = keyword
  }
  return Array.from(keywords, (keyword) => keyword ?? '')
}

export const formatKeywords = (keywords: readonly string[]): string =>
  keywords.map((keyword, index) => `${index} ${keyword}\n`).join('')
