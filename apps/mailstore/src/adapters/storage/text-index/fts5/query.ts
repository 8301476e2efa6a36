/** Trigrams as FTS5 asks for them. */
import { type TextPart, trigramsOf } from '../parts.ts'

/** Null: every text may match. */
export function matchExpression(part: TextPart): string | null {
  const wanted = trigramsOf(part)
  if (wanted === null) return null
  const all = wanted.trigrams.map(quoted).join(' AND ')
  return wanted.in === 'anywhere' ? all : `${wanted.in} : (${all})`
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`
