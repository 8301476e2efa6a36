/** Which contents may hold what a search asks for. Never leaves out one that does. */
import type { Reader } from '@postbus/sql'
import { sql } from 'kysely'

import type { IndexDatabase, IndexTables } from './schema.ts'
import { matchExpression, type TextPart } from './query.ts'

export type MayMatch = (part: TextPart, content: number) => boolean

export interface Among {
  /** Of the database the contents are in. */
  epoch: string
  /** The lowest and the highest number of a content. */
  first: number
  last: number
}

const everything: MayMatch = () => true

/** As of one moment of the index. */
export async function candidates(index: IndexDatabase, parts: readonly TextPart[], among: Among): Promise<MayMatch> {
  const expressions = new Map<string, string>()
  for (const part of parts) {
    const expression = matchExpression(part)
    if (expression !== null) expressions.set(keyOf(part), expression)
  }
  if (expressions.size === 0) return everything
  await sql`begin`.execute(index.query)
  try {
    return await answer(index, expressions, among)
  } finally {
    await sql`commit`.execute(index.query)
  }
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
  return (part, content) =>
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

const keyOf = (part: TextPart): string =>
  part.kind === 'header' ? `header ${part.field} ${part.value}` : `${part.kind} ${part.value}`
