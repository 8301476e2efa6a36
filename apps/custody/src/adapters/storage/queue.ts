/**
 * The list of open outgoing recipients, a page at a time behind a place in it: never by counting off rows, so that the last
 * page of a million costs what the first does. A place stays what it is while its recipient is open, so a list that is read
 * while mail moves leaves nothing out that was there all the time.
 */
import type { QueueId, RecipientKey } from '@postbus/contracts'
import type { Database } from '@postbus/sql'
import { type ExpressionBuilder, type ExpressionWrapper, type SqlBool, sql } from 'kysely'

import type { Books, QueuePlace, QueueRange, QueueState } from '../../tracking/books.ts'
import { entryIn, OF_RECIPIENT, trackedIn } from './rows.ts'
import type { Tables } from './tables.ts'

/** In the words by which the partial index is recognised. */
const IS_SET_ASIDE = sql<SqlBool>`state in ('held', 'dead')`

type Condition = (eb: ExpressionBuilder<Tables, 'recipient'>) => ExpressionWrapper<Tables, 'recipient', SqlBool>

export function readingQueue({ query }: Database<Tables>): Pick<Books, 'queueEntries' | 'queueMarks'> {
  return {
    async queueEntries(range, after, limit) {
      // One site's recipients are a list of their own; of all sites the oldest come first.
      const rows = await query
        .selectFrom('recipient')
        .innerJoin('message', 'message.queue_id', 'recipient.queue_id')
        .select(['recipient.queue_id', ...OF_RECIPIENT, 'site', 'accepted_at', 'entry'])
        .where(within(range))
        .where(behind(after))
        .orderBy('accepted_at')
        .orderBy('recipient.queue_id')
        .orderBy('n')
        .limit(limit)
        .execute()
      return rows.flatMap((row) => {
        const entry = entryIn(row.entry)
        return entry === null ? [] : [{ ...placeIn(row), entry, tracked: trackedIn(row) }]
      })
    },
    async queueMarks(range, after, limit) {
      const rows = await query
        .selectFrom('recipient')
        .select(['queue_id', 'n', 'site', 'accepted_at', 'state', 'next_attempt_at'])
        .where(within(range))
        .where(behindOnSite(after))
        .orderBy('site')
        .orderBy('accepted_at')
        .orderBy('queue_id')
        .orderBy('n')
        .limit(limit)
        .execute()
      // Open, so its state is one of these.
      return rows.map((row) => ({
        ...placeIn(row),
        state: row.state as QueueState,
        nextAttemptAt: row.next_attempt_at,
      }))
    },
  }
}

/** `accepted_at` is not null of open outgoing recipients, and of nothing else. */
function within({ queueId, n, site, setAside, after, before }: QueueRange): Condition {
  return (eb) =>
    eb.and([
      eb('accepted_at', 'is not', null),
      ...(queueId === undefined ? [] : [eb('recipient.queue_id', '=', queueId)]),
      ...(n === undefined ? [] : [eb('n', '=', n)]),
      ...(site === undefined ? [] : [eb('site', '=', site)]),
      ...(setAside === true ? [IS_SET_ASIDE] : []),
      ...(after === undefined ? [] : [eb('accepted_at', '>', after)]),
      ...(before === undefined ? [] : [eb('accepted_at', '<', before)]),
    ])
}

function behind(after: QueuePlace | null): Condition {
  return (eb) =>
    after === null
      ? eb.lit(true)
      : eb(
          eb.refTuple('accepted_at', 'recipient.queue_id', 'n'),
          '>',
          eb.tuple(after.acceptedAt, after.queueId, after.n),
        )
}

function behindOnSite(after: QueuePlace | null): Condition {
  return (eb) =>
    after === null
      ? eb.lit(true)
      : eb(
          eb.refTuple('site', 'accepted_at', 'recipient.queue_id', 'n'),
          '>',
          eb.tuple(after.site, after.acceptedAt, after.queueId, after.n),
        )
}

function placeIn(row: Pick<Tables['recipient'], 'queue_id' | 'n' | 'site' | 'accepted_at'>): QueuePlace {
  const { queue_id, n, site, accepted_at } = row
  return { site: site ?? '', acceptedAt: accepted_at ?? 0, queueId: queue_id as QueueId, n: n as RecipientKey }
}
