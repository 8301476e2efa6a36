/** The same database, watched: how long its reads and its transactions take. */
import type { KyselyPlugin } from 'kysely'

import type { Database } from './database.ts'

export interface Observer {
  /** A query outside a transaction has its rows; a snapshot is one, with all it reads. */
  read(seconds: number): void
  /** From asking for it: its turn, its work, and its commit or the end of its failure. */
  transaction(outcome: 'committed' | 'failed', seconds: number): void
}

export function observed<DB>(database: Database<DB>, observer: Observer): Database<DB> {
  const query = database.query.withPlugin(watching(observer))
  const timed = async <R>(read: () => Promise<R>): Promise<R> => {
    const begun = performance.now()
    const rows = await read()
    observer.read(since(begun))
    return rows
  }
  return {
    dialect: database.dialect,
    name: database.name,
    schema: database.schema,
    query,
    prepare: (build) => database.prepare(build),
    all: (prepared, params) => timed(() => database.all(prepared, params)),
    first: (prepared, params) => timed(() => database.first(prepared, params)),
    async transaction(work, options) {
      const begun = performance.now()
      let outcome: 'committed' | 'failed' = 'failed'
      try {
        const result = await database.transaction(work, options)
        outcome = 'committed'
        return result
      } finally {
        observer.transaction(outcome, since(begun))
      }
    },
    snapshot: (work) => timed(() => database.snapshot(work)),
    close: () => database.close(),
  }
}

/** Kysely names a query before and after it. One that fails, or is read row by row, is not counted. */
function watching(observer: Observer): KyselyPlugin {
  const begun = new WeakMap<object, number>()
  return {
    transformQuery({ queryId, node }) {
      begun.set(queryId, performance.now())
      return node
    },
    async transformResult({ queryId, result }) {
      const at = begun.get(queryId)
      if (at !== undefined) observer.read(since(at))
      return result
    },
  }
}

const since = (begun: number): number => (performance.now() - begun) / 1000
