/**
 * A service's own database as its storage adapter sees it. SQLite now (sqlite.ts); PostgreSQL implements the same
 * interface, which is why everything is a promise and a failed statement ends its transaction.
 */
import type { Compilable, CompiledQuery, Kysely } from 'kysely'

import type { Param, Prepared } from './prepared.ts'

export interface Reader<DB> {
  /** Builds and runs queries. On a Database it only reads; inside a transaction it also writes. */
  readonly query: Kysely<DB>
  all<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row[]>
  first<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row | undefined>
}

export interface Transaction<DB> extends Reader<DB> {
  /** @returns how many rows changed */
  run<Params>(prepared: Prepared<Params, unknown>, params: Params): Promise<number>
  /** Once per item, in order: the fast way to write many rows. Returns how many rows changed altogether. */
  runEach<Params>(prepared: Prepared<Params, unknown>, items: readonly Params[]): Promise<number>
  /** SQL as it stands, without parameters; for migrations. */
  exec(sql: string): Promise<void>
  /** What `work` wrote is undone when it throws; the transaction goes on. Not to be run beside other work of the transaction. */
  savepoint<R>(work: () => Promise<R>): Promise<R>
}

export interface Database<DB> extends Reader<DB> {
  readonly dialect: 'sqlite' | 'postgres'
  /** Where it is, for messages. */
  readonly name: string
  prepare<Params, Row>(
    build: (query: Kysely<DB>, param: Param<Params>) => Compilable<Row> | CompiledQuery<Row>,
  ): Prepared<Params, Row>
  /**
   * All or nothing, durable when it resolves. One at a time: transactions of this process queue, those of other processes
   * are waited for. Committed when `work` resolves, rolled back when it throws; a failed statement makes everything after
   * it fail too (savepoint is the way around). A transaction inside a transaction is refused.
   * @throws StorageFull, StorageBusy (nothing was stored), StorageCorrupt, StorageFailed, ConstraintViolated
   */
  transaction<R>(work: (transaction: Transaction<DB>) => Promise<R>): Promise<R>
  /** Waits for the transactions that have begun or queue. */
  close(): Promise<void>
}
