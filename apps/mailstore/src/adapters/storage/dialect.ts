/**
 * What SQLite and PostgreSQL say in different words, said once. Everything else of the storage is one text for both.
 *
 * Lists travel as one parameter each, so that a statement's text is the same however long they are.
 */
import type { Database, Transaction } from '@postbus/sql'
import { type RawBuilder, type SelectQueryBuilder, sql, type SqlBool } from 'kysely'

import type { Tables } from './schema.ts'

/** Whoever runs the statement: a reader, a transaction, a database. */
export type Speaker = Pick<Database<unknown>, 'dialect'>

/** A list of whole numbers as the value of a parameter. */
export function listOf({ dialect }: Speaker, numbers: readonly number[]): string {
  return dialect === 'sqlite' ? JSON.stringify(numbers) : `{${numbers.join(',')}}`
}

/** @param list from `listOf`, or a place for it */
export function isIn({ dialect }: Speaker, column: string, list: string): RawBuilder<SqlBool> {
  return dialect === 'sqlite'
    ? sql<SqlBool>`${sql.ref(column)} in (select value from json_each(${list}))`
    : sql<SqlBool>`${sql.ref(column)} = any(${list}::bigint[])`
}

export function isOneOf(speaker: Speaker, column: string, numbers: readonly number[]): RawBuilder<SqlBool> {
  return isIn(speaker, column, listOf(speaker, numbers))
}

/** Likewise of strings, which hold no NUL. */
export function isOneOfTexts({ dialect }: Speaker, column: string, texts: readonly string[]): RawBuilder<SqlBool> {
  return dialect === 'sqlite'
    ? sql<SqlBool>`${sql.ref(column)} in (select value from json_each(${JSON.stringify(texts)}))`
    : sql<SqlBool>`${sql.ref(column)} = any(${texts}::text[])`
}

/** Pairs of whole numbers as a table, to select from or to join: `(…)`, which wants a name. */
export function pairsOf<First extends string, Second extends string>(
  { dialect }: Speaker,
  [first, second]: readonly [First, Second],
  pairs: readonly (readonly [number, number])[],
): RawBuilder<Record<First | Second, number>> {
  const [a, b] = [sql.ref(first), sql.ref(second)]
  if (dialect === 'sqlite') {
    return sql`(select value ->> 0 as ${a}, value ->> 1 as ${b} from json_each(${JSON.stringify(pairs)}))`
  }
  const columns = [0, 1].map((column) => `{${pairs.map((pair) => pair[column]).join(',')}}`)
  return sql`(select * from unnest(${columns[0]}::bigint[], ${columns[1]}::bigint[]) as pair (${a}, ${b}))`
}

/** What a query selects as `name`, all of it as a JSON array: the expression to select. */
export function jsonArrayOf({ dialect }: Speaker, column: string): RawBuilder<string> {
  return dialect === 'sqlite'
    ? sql<string>`json_group_array(${sql.ref(column)})`
    : sql<string>`coalesce(json_agg(${sql.ref(column)})::text, '[]')`
}

/** What a query selects as `octets`, one after the other, in the order of its arrays: the expression to select. */
export function joinedOctets({ dialect }: Speaker, column: string): RawBuilder<Uint8Array> {
  return dialect === 'sqlite'
    ? sql<Uint8Array>`cast(coalesce(group_concat(${sql.ref(column)}, ''), '') as blob)`
    : sql<Uint8Array>`coalesce(string_agg(${sql.ref(column)}, ''::bytea), ''::bytea)`
}

/** Of the rows a query finds those nobody else has in hand; they stay in this transaction's. SQLite has one writer. */
export function takenFrom<DB, Table extends keyof DB, Row>(
  { dialect }: Speaker,
  query: SelectQueryBuilder<DB, Table, Row>,
): SelectQueryBuilder<DB, Table, Row> {
  return dialect === 'sqlite' ? query : query.forUpdate().skipLocked()
}

/** The rows a query finds, which nobody else changes or takes away until the transaction ends. */
export function heldFrom<DB, Table extends keyof DB, Row>(
  { dialect }: Speaker,
  query: SelectQueryBuilder<DB, Table, Row>,
): SelectQueryBuilder<DB, Table, Row> {
  return dialect === 'sqlite' ? query : query.forNoKeyUpdate()
}

/** The next key of the table will be above this. */
export async function skipKeys({ dialect, query }: Transaction<Tables>, table: 'mailboxes' | 'emails', to: number) {
  const key = sql.raw(String(to)) // to SQLite a bound number is a REAL
  if (dialect === 'postgres') {
    const sequence = sql`pg_get_serial_sequence(${table}, 'id')`
    await sql`select setval(${sequence}, greatest(${key}, nextval(${sequence})))`.execute(query)
    return
  }
  await sql`delete from sqlite_sequence where name = ${table} and seq < ${key}`.execute(query)
  await sql`insert into sqlite_sequence (name, seq) select ${table}, ${key}
    where not exists (select 1 from sqlite_sequence where name = ${table})`.execute(query)
}
