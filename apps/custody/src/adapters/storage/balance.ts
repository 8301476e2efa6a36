/**
 * The counts of both sides, in one statement and therefore of one moment. Messages, originals and recipients are counted along
 * indexes that hold nothing else; a row is looked at only where an original waits beside routed ones, and of failures.
 */
import type { Origin, Recipient } from '@postbus/contracts'
import type { Database, Dialect } from '@postbus/sql'
import { type RawBuilder, sql } from 'kysely'

import type { BooksCounts, Unreported } from '../../balance/balance.ts'
import { HOUR_MS } from './hashes.ts'
import { parsed } from './rows.ts'
import type { Tables } from './tables.ts'

interface Counted {
  fact: string
  detail: string | null
  count: number | null
}

/** As the partial index has it: named by a `routed`, and nobody's copy. */
const STANDS = sql`original is not null and merged_into is null`

interface Wording {
  /** Says which index is meant, where the planner would not find it. */
  along(index: string): RawBuilder<unknown>
  /** The originals of the messages at hand that have their `routed`. */
  joinRouted: RawBuilder<unknown>
  /** A member of JSON, as JSON. */
  member(json: string, path: string): RawBuilder<unknown>
  object: RawBuilder<unknown>
}

const wordings: Record<Dialect, Wording> = {
  sqlite: {
    along: (index) => sql.raw(`indexed by ${index}`),
    // The plus keeps the look-up on the primary key.
    joinRouted: sql`cross join original on original.queue_id = message.queue_id and +routed = 1`,
    member: (json, path) => sql.raw(`${json} -> '$.${path}'`),
    object: sql`json_object`,
  },
  postgres: {
    along: () => sql``,
    joinRouted: sql`join original on original.queue_id = message.queue_id and routed = 1`,
    // A NUL, as senders put it into a Message-ID, is not for PostgreSQL's JSON.
    member: (json, path) =>
      sql.raw(
        String.raw`regexp_replace(${json}, '(?<!\\)((?:\\\\)*)\\u0000', '\1', 'g')::json #> '{${path.replaceAll('.', ',')}}'`,
      ),
    object: sql`json_build_object`,
  },
}

// Of a message with one original there is nothing routed to take off.
const sides = ({ along, joinRouted }: Wording) => sql<Counted>`
  select 'since' as fact, null as detail,
    (select accepted_hour from message where sender_hash is not null order by accepted_hour limit 1) as count
  union all select 'accepted', null, sum(originals) from message ${along('message_balance')}
  union all select 'merged', null, sum(merges) from message ${along('message_balance')}
  union all select 'copies', null, count(*) from recipient where merged_into is not null
  union all select 'unrouted', null, sum(originals) from message ${along('message_balance')}
    where unrouted_due_at is not null
  union all select 'routedBeside', null, count(*) from message ${along('message_balance')}
    ${joinRouted}
    where originals > 1 and unrouted_due_at is not null
  union all select 'routed', null, sum(routed) from original ${along('original_balance')}
  union all select 'added', null, sum(named - routed) from original ${along('original_balance')}
  union all select 'state', state, count(*) from recipient where ${STANDS} group by state`

const failed = ({ member, object }: Wording) => sql<Counted>`
  select 'failure', report, count(*) from (
    select case
      when report.done_at is not null then 'done'
      when report.queue_id is not null or recipient.report_due_at is not null then 'pending'
      else cast(${object}(
        'reversePath', ${member('listing', 'final.reversePath')}, 'expanded', ${member('listing', 'final.expanded')},
        'notify', ${member('original.recipient', 'notify')},
        'origin', ${member('entry', 'origin')}, 'sender', ${member('entry', 'reversePath')}
      ) as text) end as report
    from (select * from recipient where ${STANDS} and state in ('failed', 'expired')) as recipient
    left join report on report.queue_id = recipient.report
    left join original on original.queue_id = recipient.queue_id and original.original = recipient.original
    left join message on message.queue_id = recipient.queue_id
  ) as failure group by report`

export async function countBooks({ query, dialect }: Database<Tables>, failures: boolean): Promise<BooksCounts> {
  const wording = wordings[dialect]
  const counted = failures ? sql<Counted>`${sides(wording)} union all ${failed(wording)}` : sides(wording)
  const { rows } = await counted.execute(query)
  const all = Map.groupBy(rows, ({ fact }) => fact)
  const of = (fact: string): number => all.get(fact)?.[0]?.count ?? 0
  // Null while there is no message.
  const hour = all.get('since')?.[0]?.count ?? null
  return {
    since: hour === null ? null : hour * HOUR_MS,
    ...{ accepted: of('accepted'), routed: of('routed'), added: of('added') },
    ...{ merged: of('merged'), copies: of('copies') },
    notYetRouted: of('unrouted') - of('routedBeside'),
    states: Object.fromEntries((all.get('state') ?? []).map(({ detail, count }) => [detail, count])),
    failures: (all.get('failure') ?? []).map(({ detail, count }) => ({
      recipients: count ?? 0,
      report: detail === 'done' || detail === 'pending' ? detail : unreportedIn(detail),
    })),
  }
}

/** As the statement put it together, from what was written by us. */
interface Facts {
  reversePath: string
  expanded: boolean | null
  notify: NonNullable<Recipient['notify']> | null
  /** Null: the message's facts, or the row, are missing. */
  origin: Origin | null
  sender: string | null
}

function unreportedIn(json: string | null): Unreported {
  const facts = parsed<Facts>(json)
  if (facts === null || facts.origin === null || facts.sender === null) return null
  const { reversePath, expanded, notify, origin, sender } = facts
  return {
    final: { reversePath, expanded: expanded ?? undefined },
    original: { notify: notify ?? undefined },
    entry: { origin, reversePath: sender },
  }
}
