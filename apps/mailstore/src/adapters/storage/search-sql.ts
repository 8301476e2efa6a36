/**
 * As much of a search program as SQL can decide. `exact`: that is all of it; otherwise what SQL lets through is looked at
 * again by mailbox/search-program.ts. Never does SQL leave out what matches.
 */
import type { SearchKey } from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'
import { type RawBuilder, sql, type SqlBool } from 'kysely'

import { foldKeyword, systemFlagBit } from '../../mailbox/flags.ts'
import { parseEmailId } from '../../mailbox/object-id.ts'
import { NO_SENT_DAY } from '../../mailbox/search-program.ts'

type Condition = RawBuilder<SqlBool>

export interface SqlPart {
  /** Null: everything passes. */
  condition: Condition | null
  exact: boolean
}

/** Longer lists of ranges are quicker looked up outside. */
const MAX_RANGES = 20
const DAY = 86_400_000

const exactly = (condition: Condition | null): SqlPart => ({ condition, exact: true })
const notInSql: SqlPart = { condition: null, exact: false }

export function sqlPart(key: SearchKey, now: number): SqlPart {
  switch (key.kind) {
    case 'all':
      return exactly(null)
    case 'and': {
      const parts = key.keys.map((part) => sqlPart(part, now))
      const conditions = parts.flatMap(({ condition }) => condition ?? [])
      return { condition: joined(conditions, ' and '), exact: parts.every(({ exact }) => exact) }
    }
    case 'or': {
      const parts = key.keys.map((part) => sqlPart(part, now))
      const exact = parts.every((part) => part.exact)
      if (parts.some(({ condition }) => condition === null)) return { condition: null, exact }
      return {
        condition: joined(
          parts.flatMap(({ condition }) => condition ?? []),
          ' or ',
        ),
        exact,
      }
    }
    case 'not': {
      const { condition, exact } = sqlPart(key.key, now)
      if (!exact) return notInSql
      return exactly(condition === null ? sql<SqlBool>`1 = 0` : sql<SqlBool>`not ${condition}`)
    }
    case 'flag':
      return exactly(flagCondition(key.flag))
    case 'uids': {
      const ranges = [...NumberSet.parse(key.uids).ranges()]
      if (ranges.length > MAX_RANGES) return notInSql
      const between = ranges.map(([low, high]) => sql<SqlBool>`(messages.uid between ${low} and ${high})`)
      return exactly(joined(between, ' or ') ?? sql<SqlBool>`1 = 0`)
    }
    case 'date':
      return exactly(dateCondition(key))
    case 'size':
      return exactly(sql<SqlBool>`messages.size ${sql.raw(key.is === 'larger' ? '>' : '<')} ${key.octets}`)
    case 'modseq':
      return exactly(sql<SqlBool>`messages.modseq >= ${key.modseq}`)
    case 'within': {
      const limit = now - key.seconds * 1000
      return exactly(sql<SqlBool>`messages.internal_date ${sql.raw(key.is === 'younger' ? '>=' : '<=')} ${limit}`)
    }
    case 'emailId':
      return exactly(sql<SqlBool>`messages.email = ${parseEmailId(key.id) ?? 0}`)
    case 'header':
    case 'body':
    case 'text':
      return notInSql
  }
}

function joined(conditions: readonly Condition[], by: ' and ' | ' or '): Condition | null {
  return conditions.length === 0 ? null : sql<SqlBool>`(${sql.join(conditions, sql.raw(by))})`
}

function flagCondition(flag: string): Condition {
  const bit = systemFlagBit(flag)
  if (bit !== undefined) return sql<SqlBool>`(messages.flags & ${bit}) <> 0`
  return sql<SqlBool>`exists (select 1 from message_keywords mk join keywords k on k.mailbox = mk.mailbox and k.keyword = mk.keyword
    where mk.mailbox = messages.mailbox and mk.uid = messages.uid and k.folded = ${foldKeyword(flag)})`
}

function dateCondition({ of, is, date }: Extract<SearchKey, { kind: 'date' }>): Condition {
  if (of === 'sent') {
    const compare = sql.raw({ before: '<', on: '=', since: '>=' }[is])
    return sql<SqlBool>`exists (select 1 from emails e join contents c on c.id = e.content
      where e.id = messages.email and coalesce(c.sent_day, ${NO_SENT_DAY}) ${compare} ${date})`
  }
  const column = sql.ref(of === 'internal' ? 'messages.internal_date' : 'messages.save_date')
  const start = Date.parse(`${date}T00:00:00Z`)
  switch (is) {
    case 'before':
      return sql<SqlBool>`${column} < ${start}`
    case 'since':
      return sql<SqlBool>`${column} >= ${start}`
    case 'on':
      return sql<SqlBool>`(${column} >= ${start} and ${column} < ${start + DAY})`
  }
}
