/** The ledger in a table. Entries of many transactions share one commit. */
import { BatchFull, gather } from '@postbus/batch'
import { QueueId, RecipientKey } from '@postbus/contracts'
import {
  migrate,
  StorageBusy,
  StorageCorrupt,
  StorageFailed,
  StorageFull,
  type Database,
  type Migration,
} from '@postbus/sql'
import { batched } from '@postbus/tracing'

import { type Ledger, type LedgerEntry, LedgerUnavailable } from '../../attempt/ledger.ts'
import { isEnd, Outcome } from '../../attempt/outcome.ts'

export interface Tables {
  attempt: {
    queue_id: string
    n: string
    attempt: number
    incarnation: number
    outcome: string
    /** 0 open, 1 ended, 2 relayed: a higher one takes the place of a lower. */
    ended: number
    at: string
  }
}

export const migrations: readonly Migration[] = [
  {
    name: '0001-attempt',
    sqlite: `
      create table attempt (
        queue_id text not null,
        n text not null,
        attempt integer not null,
        incarnation integer not null,
        outcome text not null,
        ended integer not null,
        at text not null,
        primary key (queue_id, n)
      ) strict, without rowid;
      create index attempt_at on attempt (at);
    `,
    postgres: `
      create table attempt (
        queue_id text collate "C" not null,
        n text collate "C" not null,
        attempt bigint not null,
        incarnation bigint not null,
        outcome text collate "C" not null,
        ended integer not null,
        at text collate "C" not null,
        primary key (queue_id, n)
      );
      create index attempt_at on attempt (at);
    `,
  },
]

const MAX_ENTRIES_PER_COMMIT = 500
/** Far above what can be in hand at once. */
const MAX_WAITING = 20_000

export async function sqlLedger(db: Database<Tables>): Promise<Ledger> {
  await migrate(db, migrations)
  const find = db.prepare<{ queueId: string; n: string }, Tables['attempt']>((query, param) =>
    query.selectFrom('attempt').selectAll().where('queue_id', '=', param('queueId')).where('n', '=', param('n')),
  )
  const put = db.prepare<Tables['attempt'], unknown>((query, param) =>
    query
      .insertInto('attempt')
      .values({
        queue_id: param('queue_id'),
        n: param('n'),
        attempt: param('attempt'),
        incarnation: param('incarnation'),
        outcome: param('outcome'),
        ended: param('ended'),
        at: param('at'),
      })
      .onConflict((conflict) =>
        conflict
          .columns(['queue_id', 'n'])
          .doUpdateSet((row) => ({
            attempt: row.ref('excluded.attempt'),
            incarnation: row.ref('excluded.incarnation'),
            outcome: row.ref('excluded.outcome'),
            ended: row.ref('excluded.ended'),
            at: row.ref('excluded.at'),
          }))
          .where(({ eb, ref }) =>
            eb.or([eb('attempt.ended', '=', 0), eb('attempt.ended', '<', ref('excluded.ended'))]),
          ),
      ),
  )
  const commits = gather<LedgerEntry, undefined>(
    async (entries) => {
      // Each statement says itself which entry gives way, so replicas need no turns; in one order they do not cross either.
      const rows = entries.map(rowOf).sort(byKey)
      await db.transaction((transaction) => transaction.runEach(put, rows), { locks: [] })
      return entries.map(() => undefined)
    },
    { maxItems: MAX_ENTRIES_PER_COMMIT, maxWaiting: MAX_WAITING, origin: batched('db commit ledger') },
  )
  return {
    async find(key) {
      const row = await db.first(find, key).catch(asUnavailable)
      return row === undefined ? null : entryOf(row)
    },
    commit: (entry) => commits.add(entry).catch(asUnavailable),
    async prune(before, limit) {
      const time = before.toISOString()
      return db.transaction(
        async ({ query }) => {
          const old = query
            .selectFrom('attempt')
            .select(['queue_id', 'n'])
            .where('at', '<', time)
            .orderBy('at')
            .limit(limit)
          const { numDeletedRows } = await query
            .deleteFrom('attempt')
            .where(({ eb, refTuple }) => eb(refTuple('queue_id', 'n'), 'in', old.$asTuple('queue_id', 'n')))
            // Asked of the row itself: another replica may have written it anew meanwhile.
            .where('at', '<', time)
            .executeTakeFirst()
          return Number(numDeletedRows)
        },
        { locks: [] },
      )
    },
    async close() {
      await commits.idle()
      await db.close()
    },
  }
}

/** The order stands among entries of one recipient, whose keys are equal. */
function byKey(one: Tables['attempt'], other: Tables['attempt']): number {
  if (one.queue_id !== other.queue_id) return one.queue_id < other.queue_id ? -1 : 1
  if (one.n !== other.n) return one.n < other.n ? -1 : 1
  return 0
}

function rowOf({ queueId, n, attempt, incarnation, outcome }: LedgerEntry): Tables['attempt'] {
  return {
    queue_id: queueId,
    n,
    attempt,
    incarnation,
    outcome: JSON.stringify(outcome),
    ended: outcome.kind === 'relayed' ? 2 : Number(isEnd(outcome)),
    at: outcome.at,
  }
}

function entryOf({ queue_id, n, attempt, incarnation, outcome }: Tables['attempt']): LedgerEntry {
  return {
    queueId: QueueId.parse(queue_id),
    n: RecipientKey.parse(n),
    attempt,
    incarnation,
    outcome: Outcome.parse(JSON.parse(outcome)),
  }
}

function asUnavailable(error: unknown): never {
  const ofTheDisk = [BatchFull, StorageBusy, StorageCorrupt, StorageFailed, StorageFull].some(
    (kind) => error instanceof kind,
  )
  if (ofTheDisk && error instanceof Error) throw new LedgerUnavailable(error.message, { cause: error })
  throw error
}
