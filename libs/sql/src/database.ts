/**
 * A service's own database as its storage adapter sees it: a SQLite file or a PostgreSQL schema. What both can do is here, and means
 * the same: a failed statement ends its transaction, integers beyond ±(2^53 − 1) are refused, bytes are Uint8Array, and
 * true and false are read as 1 and 0. Text is compared byte by byte: on PostgreSQL a column has to say so, `collate "C"`.
 */
import type { Compilable, CompiledQuery, Kysely } from 'kysely'

import type { Param, Prepared } from './prepared.ts'
import type { Dialect } from './session.ts'

export interface Reader<DB> {
  readonly dialect: Dialect
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

export interface TransactionOptions {
  /**
   * Names of what this transaction needs for itself, such as one account. Transactions that name the same take turns, in all processes;
   * others run beside them, and see of each other what is committed. None: constraints and row locks are enough. Absent: the
   * whole database, beside no other transaction at all. On SQLite always the whole database.
   */
  locks?: readonly string[]
  /** For one statement on a server (ms); 0: as long as it takes. Default: that of the database. */
  statementTimeoutMs?: number
}

export interface Database<DB> extends Reader<DB> {
  /** Where it is, for messages; without the password. */
  readonly name: string
  /** Where its tables are: the service's own on PostgreSQL, `main` on SQLite. */
  readonly schema: string
  prepare<Params, Row>(
    build: (query: Kysely<DB>, param: Param<Params>) => Compilable<Row> | CompiledQuery<Row>,
  ): Prepared<Params, Row>
  /**
   * All or nothing, durable when it resolves. One at a time, unless `locks` says otherwise: transactions of this process queue, those of
   * other processes are waited for. Committed when `work` resolves, rolled back when it throws; a failed statement makes everything after
   * it fail too (savepoint is the way around). A transaction inside a transaction is refused.
   * @throws StorageFull, StorageBusy (nothing was stored), StorageCorrupt, StorageFailed (perhaps it was), ConstraintViolated
   */
  transaction<R>(work: (transaction: Transaction<DB>) => Promise<R>, options?: TransactionOptions): Promise<R>
  /**
   * All that `work` reads is of one moment; nobody who writes waits for it. On SQLite one at a time, and what is read beside it is of the
   * same moment. On a server it may run twice, if its connection turns out to be lost.
   */
  snapshot<R>(work: (reader: Reader<DB>) => Promise<R>): Promise<R>
  /** Waits for the transactions that have begun or queue. */
  close(): Promise<void>
}
