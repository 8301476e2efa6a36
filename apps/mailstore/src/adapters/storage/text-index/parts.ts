/**
 * A search string as runs of three characters. A text that contains the string contains them all, so what lacks one cannot
 * match; what has them all may.
 */
import { casemap, type HeaderKey } from '@postbus/message'

/** A key of a search program that asks for text. */
export type TextPart = { kind: 'body' | 'text'; value: string } | ({ kind: 'header' } & HeaderKey)

export interface Trigrams {
  /** Of a text's two halves the one they are all in; `anywhere`: each in one or the other. */
  in: 'headers' | 'bodies' | 'anywhere'
  /** At least one. Three characters each, with their case folded. */
  trigrams: string[]
}

/** Of a long string the first ones: they narrow it down enough. */
const MAX_TRIGRAMS = 40

/** Fields that stand in front of the content, where the index does not reach. */
const IN_FRONT = new Set(['return-path', 'delivered-to'])

/** Null: the index cannot tell, every text may match. Strings of one or two characters are in nearly every text. */
export function trigramsOf(part: TextPart): Trigrams | null {
  switch (part.kind) {
    case 'text':
      return some('anywhere', trigrams(casemap(part.value), LINE_ENDS))
    case 'body':
      return some('bodies', trigrams(casemap(part.value), LINE_ENDS))
    case 'header': {
      if (IN_FRONT.has(part.field.toLowerCase())) return null
      // Runs of blanks may stand in the header for the one that is asked for.
      const value = trigrams(casemap(part.value), BLANKS)
      return some('headers', [...trigrams(casemap(part.field), BLANKS), ...value])
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
  return [...found]
}

const some = (where: Trigrams['in'], found: string[]): Trigrams | null =>
  found.length === 0 ? null : { in: where, trigrams: found }
