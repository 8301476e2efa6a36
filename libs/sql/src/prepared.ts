/**
 * Statements compiled once and run often: the query is built with Kysely at start, and a run only binds values.
 */
import type { Compilable, CompiledQuery, Kysely } from 'kysely'

import type { Reader } from './database.ts'
import type { Dialect } from './session.ts'

/** Stands for a value that every run gives anew. */
export interface Param<Params> {
  <Name extends keyof Params & string>(name: Name): Params[Name]
}

export interface Prepared<Params, Row> {
  readonly sql: string
  /** The values in the order of the statement's places. */
  bind(params: Params): unknown[]
  /** Only a type: what a row looks like. */
  readonly row?: Row
}

class Place {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

/**
 * @param build gets a place per value: `prepare(db.query, (query, param: Param<{ id: number }>) => query.selectFrom('t').where('id', '=', param('id')))`
 */
export function prepare<DB, Params, Row>(
  query: Kysely<DB>,
  build: (query: Kysely<DB>, param: Param<Params>) => Compilable<Row> | CompiledQuery<Row>,
): Prepared<Params, Row> {
  // A place travels through the query builder where the value would; only `bind` sees it again.
  const param = ((name: string) => new Place(name)) as unknown as Param<Params>
  const built = build(query, param)
  const { sql, parameters } = 'compile' in built ? built.compile() : built
  const isPlace = parameters.map((parameter) => parameter instanceof Place)
  const values = parameters.map((parameter) => (parameter instanceof Place ? parameter.name : parameter))
  return {
    sql,
    bind(params) {
      const given = params as Record<string, unknown> // Params is known by name only
      const bound = new Array<unknown>(values.length)
      for (let index = 0; index < values.length; index++) {
        bound[index] = isPlace[index] ? given[values[index] as string] : values[index]
      }
      return bound
    },
  }
}

/** A statement of modules that have no database of their own, for whoever runs it: compiled once per dialect, when it is first run. */
export function statement<DB, Params, Row = unknown>(
  build: (query: Kysely<DB>, param: Param<Params>) => Compilable<Row> | CompiledQuery<Row>,
): (reader: Pick<Reader<DB>, 'dialect' | 'query'>) => Prepared<Params, Row> {
  const compiled = new Map<Dialect, Prepared<Params, Row>>()
  return (reader) => compiled.getOrInsertComputed(reader.dialect, () => prepare(reader.query, build))
}
