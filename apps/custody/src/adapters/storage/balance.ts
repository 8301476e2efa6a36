/**
 * The counts of both sides, in one statement and therefore of one moment. Messages, originals and recipients are counted along
 * indexes that hold nothing else; a row is looked at only where an original waits beside routed ones, and of failures.
 */
import type { Origin, Recipient } from '@postbus/contracts'
import type { Database } from '@postbus/sql'
import { sql } from 'kysely'

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

// Of a message with one original there is nothing routed to take off. The plus keeps the look-up on the primary key.
const SIDES = sql<Counted>`
  select 'since' as fact, null as detail, min(accepted_hour) as count from message where sender_hash is not null
  union all select 'accepted', null, sum(originals) from message indexed by message_balance
  union all select 'merged', null, sum(merges) from message indexed by message_balance
  union all select 'copies', null, count(*) from recipient where merged_into is not null
  union all select 'unrouted', null, sum(originals) from message indexed by message_balance
    where unrouted_due_at is not null
  union all select 'routedBeside', null, count(*) from message indexed by message_balance
    cross join original on original.queue_id = message.queue_id and +routed = 1
    where originals > 1 and unrouted_due_at is not null
  union all select 'routed', null, sum(routed) from original indexed by original_balance
  union all select 'added', null, sum(named - routed) from original indexed by original_balance
  union all select 'state', state, count(*) from recipient where ${STANDS} group by state`

const FAILURES = sql<Counted>`
  select 'failure', report, count(*) from (
    select case
      when report.done_at is not null then 'done'
      when report.queue_id is not null or recipient.report_due_at is not null then 'pending'
      else json_object(
        'reversePath', listing -> '$.final.reversePath', 'expanded', listing -> '$.final.expanded',
        'notify', original.recipient -> '$.notify', 'origin', entry -> '$.origin', 'sender', entry -> '$.reversePath'
      ) end as report
    from (select * from recipient where ${STANDS} and state in ('failed', 'expired')) as recipient
    left join report on report.queue_id = recipient.report
    left join original on original.queue_id = recipient.queue_id and original.original = recipient.original
    left join message on message.queue_id = recipient.queue_id
  ) group by report`

export async function countBooks({ query }: Database<Tables>, failures: boolean): Promise<BooksCounts> {
  const { rows } = await (failures ? sql<Counted>`${SIDES} union all ${FAILURES}` : SIDES).execute(query)
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
