/** Which contents may match, by their signatures: all but those whose signature lacks a bit of the string. */
import { type RawBuilder, sql, type SqlBool } from 'kysely'

import { isOneOf } from '../../dialect.ts'
import { type TextPart, type Trigrams, trigramsOf } from '../parts.ts'
import { everything, keyOf, type TextIndex } from '../text-index.ts'
import { hashOfRun } from './signature.ts'

/** Bits looked at: a text that has so many and not the string is rarer than one in a billion. */
const MAX_BITS = 12

export const signatureIndex: TextIndex = {
  async candidates(reader, parts, contents) {
    const ruledOut = new Map<string, ReadonlySet<number>>()
    for (const part of parts) {
      const wanted = trigramsOf(part)
      if (wanted === null) continue
      // A text that was not taken in has no bits to lack: its comparisons are null, and so is `not` of them.
      const rows = await reader.query
        .selectFrom('text_signatures')
        .select('content')
        .where(isOneOf(reader, 'content', contents))
        .where(sql<SqlBool>`not (${sql.join(bitsOf(wanted), sql` and `)})`)
        .execute()
      ruledOut.set(keyOf(part), new Set(rows.map(({ content }) => content)))
    }
    if (ruledOut.size === 0) return everything
    return (part: TextPart, content) => !(ruledOut.get(keyOf(part))?.has(content) ?? false)
  },
}

function bitsOf({ in: where, trigrams }: Trigrams): RawBuilder<SqlBool>[] {
  return spread(trigrams, MAX_BITS).map((run) => {
    const hash = hashOfRun(run)
    if (where !== 'anywhere') return hasBit(where, hash)
    return sql<SqlBool>`(${hasBit('headers', hash)} or ${hasBit('bodies', hash)})`
  })
}

/** Neighbours have two characters in common and say less than those further apart. */
function spread(trigrams: readonly string[], most: number): string[] {
  const step = Math.max(1, trigrams.length / most)
  return Array.from({ length: Math.min(most, trigrams.length) }, (_, index) => trigrams[Math.floor(index * step)] ?? '')
}

function hasBit(column: 'headers' | 'bodies', hash: number): RawBuilder<SqlBool> {
  const signature = sql.ref(column)
  return sql<SqlBool>`get_bit(${signature}, ${hash}::bigint & (octet_length(${signature})::bigint * 8 - 1)) = 1`
}
