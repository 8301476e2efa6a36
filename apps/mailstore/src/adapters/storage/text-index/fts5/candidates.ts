/** Which contents may match, by FTS5: those it names, those after its cursor, and those it could not take in. */
import type { Reader } from '@postbus/sql'
import { sql } from 'kysely'

import type { Tables } from '../../schema.ts'
import type { TextPart } from '../parts.ts'
import { everything, keyOf, type MayMatch, type TextIndex } from '../text-index.ts'
import { matchExpression } from './query.ts'
import type { IndexDatabase, IndexTables } from './schema.ts'

interface Among {
  /** Of the database the contents are in. */
  epoch: string
  /** The lowest and the highest number of a content. */
  first: number
  last: number
}

export function fts5Index(index: IndexDatabase): TextIndex {
  return {
    async candidates(reader, parts, contents) {
      const expressions = new Map<string, string>()
      for (const part of parts) {
        const expression = matchExpression(part)
        if (expression !== null) expressions.set(keyOf(part), expression)
      }
      if (expressions.size === 0 || contents.length === 0) return everything
      const among = await spanOf(reader, contents)
      return index.snapshot((texts) => answer(texts, expressions, among))
    },
  }
}

async function spanOf({ query }: Reader<Tables>, contents: readonly number[]): Promise<Among> {
  const { epoch } = await query.selectFrom('text_index').select('epoch').executeTakeFirstOrThrow()
  let [first, last] = [Infinity, 0]
  for (const content of contents) [first, last] = [Math.min(first, content), Math.max(last, content)]
  return { epoch, first, last }
}

async function answer(
  index: Reader<IndexTables>,
  expressions: ReadonlyMap<string, string>,
  { epoch, first, last }: Among,
): Promise<MayMatch> {
  const progress = await index.query.selectFrom('progress').selectAll().executeTakeFirst()
  if (progress?.epoch !== epoch) return everything
  const partial = await index.query
    .selectFrom('partial')
    .select('content')
    .where('content', '>=', first)
    .where('content', '<=', last)
    .execute()
  const unknown = new Set(partial.map(({ content }) => content))
  const found = new Map<string, ReadonlySet<number>>()
  for (const [key, expression] of expressions) found.set(key, await matching(index, expression, first, last))
  return (part: TextPart, content) =>
    content > progress.cursor || unknown.has(content) || (found.get(keyOf(part))?.has(content) ?? true)
}

async function matching(index: Reader<IndexTables>, expression: string, first: number, last: number) {
  const found = new Set<number>()
  const rows = index.query
    .selectFrom('texts')
    .select('rowid')
    .where(sql<boolean>`texts match ${expression}`)
    .where('rowid', '>=', first)
    .where('rowid', '<=', last)
    .stream()
  for await (const { rowid } of rows) found.add(rowid)
  return found
}
