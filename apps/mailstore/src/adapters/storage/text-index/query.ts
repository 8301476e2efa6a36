/**
 * A search string as FTS5 asks for it: every run of three characters in it. A text that contains the string contains them
 * all, so what FTS5 does not name cannot match; what it names may.
 */
import { casemap } from '@postbus/message'

/** A key of a search program that asks for text. */
export type TextPart = { kind: 'body' | 'text'; value: string } | { kind: 'header'; field: string; value: string }

/** Of a long string the first ones: they narrow it down enough. */
const MAX_TRIGRAMS = 40

/** Fields that stand in front of the content, where the index does not reach. */
const IN_FRONT = new Set(['return-path', 'delivered-to'])

/** Null: the index cannot tell, every text may match. Strings of one or two characters are in nearly every text. */
export function matchExpression(part: TextPart): string | null {
  switch (part.kind) {
    case 'text':
      return all(trigrams(casemap(part.value), LINE_ENDS))
    case 'body':
      return inColumn('bodies', trigrams(casemap(part.value), LINE_ENDS))
    case 'header': {
      if (IN_FRONT.has(part.field.toLowerCase())) return null
      // Runs of blanks may stand in the header for the one that is asked for.
      const value = trigrams(casemap(part.value), BLANKS)
      return inColumn('headers', [...trigrams(casemap(`${part.field}:`), BLANKS), ...value])
    }
  }
}

/** NUL is skipped by FTS5; a string across a header and its body is not in one piece there. */
const LINE_ENDS = /[\0\r\n]/
const BLANKS = /[\0\r\n\t ]/

function trigrams(text: string, without: RegExp): string[] {
  const characters = [...text]
  const found = new Set<string>()
  for (let at = 0; at + 2 < characters.length && found.size < MAX_TRIGRAMS; at++) {
    const three = characters.slice(at, at + 3).join('')
    if (!without.test(three)) found.add(three)
  }
  return [...found].map(quoted)
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`

const all = (terms: readonly string[]): string | null => (terms.length === 0 ? null : terms.join(' AND '))

function inColumn(column: string, terms: readonly string[]): string | null {
  return terms.length === 0 ? null : `${column} : (${terms.join(' AND ')})`
}
