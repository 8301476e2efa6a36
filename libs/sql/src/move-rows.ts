/**
 * All rows of a service's SQLite file into its PostgreSQL schema, in one transaction. Knows tables and columns by what the two databases say
 * of themselves: both must be at the same step of the same migrations, and a table that only one has is that dialect's own business.
 */
import { type RawBuilder, sql } from 'kysely'

import type { Database, Reader, Transaction } from './database.ts'

export interface MovedTable {
  table: string
  rows: number
}

/** The two are not at the same step, or somebody works with the new one already. */
export class CannotMove extends Error {
  override readonly name = 'CannotMove'
}

/** Rows in one statement; the server takes 65,535 parameters. */
const ROWS = 500
const PARAMETERS = 30_000

type Row = Record<string, unknown>
type AnyReader = Pick<Reader<unknown>, 'query'>

interface Table {
  name: string
  columns: string[]
  /** The column the server numbers by itself. */
  identity: string | null
}

/**
 * @param source a SQLite file that is not written to meanwhile
 * @param target a PostgreSQL schema that its service has migrated
 * @param ofUse tables that have rows once somebody works with the new database; what others hold, migrations and a start have put there, and it is replaced
 * @throws CannotMove, and all that `transaction` throws; then nothing was moved
 */
export async function moveRows<From, To>(
  source: Database<From>,
  target: Database<To>,
  ofUse: readonly string[],
): Promise<MovedTable[]> {
  // Of neither are the tables known here.
  const [from, to] = [source as unknown as Database<unknown>, target as unknown as Database<unknown>]
  await sameStep(from, to)
  const there = await sqliteTables(from)
  return to.transaction(
    async (tx) => {
      const tables = inOrder(await sharedTables(tx, to.schema, there), await references(tx, to.schema))
      for (const { name } of tables.filter(({ name }) => ofUse.includes(name))) {
        const rows = await rowsOf(tx, sql`select 1 from ${sql.table(name)} limit 1`)
        if (rows.length > 0) throw new CannotMove(`${to.name}: ${name} is not empty: somebody works with it already`)
      }
      for (const { name } of tables.toReversed()) await sql`delete from ${sql.table(name)}`.execute(tx.query)
      const moved: MovedTable[] = []
      for (const table of tables) moved.push({ table: table.name, rows: await moveTable(from, tx, table, to.schema) })
      return moved
    },
    { statementTimeoutMs: 0 },
  )
}

async function sameStep(from: Database<unknown>, to: Database<unknown>): Promise<void> {
  const steps = async (db: Database<unknown>): Promise<string> => {
    const rows = await rowsOf(db, sql`select name from schema_version order by version`)
    return rows.map(({ name }) => String(name)).join(', ')
  }
  const [one, other] = [await steps(from), await steps(to)]
  if (one !== other) throw new CannotMove(`${from.name} has taken other steps (${one}) than ${to.name} (${other})`)
}

/** With their columns; none of those that SQLite or a full-text index keeps for itself. */
async function sqliteTables(db: AnyReader): Promise<Map<string, ReadonlySet<string>>> {
  const rows = await rowsOf(
    db,
    sql`select t.name as "table", c.name as "column" from pragma_table_list as t, pragma_table_info(t.name) as c
        where t.schema = 'main' and t.type = 'table' and t.name not in ('sqlite_schema', 'sqlite_sequence', 'schema_version')`,
  )
  const columns = Map.groupBy(rows, ({ table }) => String(table))
  return new Map([...columns].map(([table, found]) => [table, new Set(found.map(({ column }) => String(column)))]))
}

async function sharedTables(
  tx: AnyReader,
  schema: string,
  there: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<Table[]> {
  const rows = await rowsOf(
    tx,
    sql`select table_name as "table", column_name as "column", is_identity from information_schema.columns
        where table_schema = ${schema} order by table_name, ordinal_position`,
  )
  const tables: Table[] = []
  for (const [name, found] of Map.groupBy(rows, ({ table }) => String(table))) {
    const known = there.get(name)
    if (known === undefined) continue
    const columns = found.map(({ column }) => String(column)).filter((column) => known.has(column))
    const identity = found.find(({ is_identity }) => is_identity === 'YES')?.['column']
    tables.push({ name, columns, identity: identity === undefined ? null : String(identity) })
  }
  return tables
}

/** Which table refers to which. */
async function references(tx: AnyReader, schema: string): Promise<{ from: string; to: string }[]> {
  const rows = await rowsOf(
    tx,
    sql`select child.relname as "from", parent.relname as "to" from pg_constraint as c
        join pg_class as child on child.oid = c.conrelid join pg_class as parent on parent.oid = c.confrelid
        where c.contype = 'f' and c.connamespace = to_regnamespace(${schema})`,
  )
  return rows.map(({ from, to }) => ({ from: String(from), to: String(to) })).filter(({ from, to }) => from !== to)
}

/** What others refer to comes first. */
function inOrder(tables: readonly Table[], refers: readonly { from: string; to: string }[]): Table[] {
  const ordered: Table[] = []
  const visit = (table: Table): void => {
    if (ordered.includes(table)) return
    for (const { to } of refers.filter(({ from }) => from === table.name)) {
      const parent = tables.find(({ name }) => name === to)
      if (parent !== undefined) visit(parent)
    }
    ordered.push(table)
  }
  for (const table of tables) visit(table)
  return ordered
}

async function moveTable(
  from: Database<unknown>,
  tx: Transaction<unknown>,
  { name, columns, identity }: Table,
  schema: string,
): Promise<number> {
  const list = sql.join(columns.map((column) => sql.ref(column)))
  const size = Math.max(1, Math.min(ROWS, Math.floor(PARAMETERS / columns.length)))
  let rows = 0
  let waiting: Row[] = []
  const write = async (): Promise<void> => {
    const values = sql.join(waiting.map((row) => sql`(${sql.join(columns.map((column) => row[column]))})`))
    await sql`insert into ${sql.table(name)} (${list}) overriding system value values ${values}`.execute(tx.query)
    rows += waiting.length
    waiting = []
  }
  const source = sql<Row>`select ${list} from ${sql.table(name)}`.compile(from.query)
  for await (const { rows: page } of from.query.getExecutor().stream<Row>(source, 1)) {
    waiting.push(...page)
    if (waiting.length >= size) await write()
  }
  if (waiting.length > 0) await write()
  if (identity !== null) await goOnNumbering(from, tx, name, identity, schema)
  return rows
}

/** Numbers that were given to rows now gone are not given again. */
async function goOnNumbering(
  from: AnyReader,
  tx: AnyReader,
  table: string,
  identity: string,
  schema: string,
): Promise<void> {
  const [last] = await rowsOf(from, sql`select seq from sqlite_sequence where name = ${table}`)
  if (last === undefined || Number(last['seq']) < 1) return
  const sequence = sql`pg_get_serial_sequence(${`${schema}.${table}`}, ${identity})`
  await sql`select setval(${sequence}, ${last['seq']})`.execute(tx.query)
}

async function rowsOf({ query }: AnyReader, statement: RawBuilder<unknown>): Promise<Row[]> {
  const { rows } = await statement.execute(query)
  return rows as Row[] // what SQL answers with
}
