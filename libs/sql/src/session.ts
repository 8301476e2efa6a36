/** A connection as queries and transactions see it, whatever the dialect. What it returns at once it need not promise. */
export interface Executed {
  rows: Record<string, unknown>[]
  changes: number
  /** Of dialects that say it with the change. */
  insertId?: number
}

export type Dialect = 'sqlite' | 'postgres'

export interface Executor {
  readonly dialect: Dialect
  /** @param isPrepared the same SQL comes again and again: worth keeping it prepared */
  execute(sql: string, parameters: readonly unknown[], isPrepared: boolean): Executed | Promise<Executed>
  /** Rows one at a time; other statements may run meanwhile. */
  iterate(
    sql: string,
    parameters: readonly unknown[],
  ): Iterable<Record<string, unknown>> | AsyncIterable<Record<string, unknown>>
}

/** A connection in a transaction of its own. */
export interface Session extends Executor {
  /** One run per list of parameters, in order. @returns how many rows changed altogether */
  executeEach(sql: string, lists: readonly (readonly unknown[])[]): number | Promise<number>
  /** Statements without parameters and rows; several are separated by `;`. */
  exec(sql: string): void | Promise<void>
  /** False when a failure has taken the whole transaction with it. */
  readonly inTransaction: boolean
  commit(): void | Promise<void>
  rollback(): void | Promise<void>
}
