/** Messages by what people know of them. An index names candidates, newest hour first; the rows themselves confirm. */
import type { QueueId } from '@postbus/contracts'
import type { Database, Param } from '@postbus/sql'
import { sql } from 'kysely'

import type { Books, Found, Wanted } from '../../tracking/books.ts'
import { hashOfAddress, hashOfMessageId, hourOf } from './hashes.ts'
import { entryIn, recipientIn } from './rows.ts'
import type { Tables } from './tables.ts'

interface Candidates {
  hour: number
  hash: number
  below: string
  limit: number
}

/** Candidates asked for at once. */
const PAGE = 100
/** Above every queue id. */
const TOP = '~'

export function lookUps(db: Database<Tables>): Books['findMessages'] {
  const indexes = indexesOf(db)
  const newestHour = hourAt(db, 'desc')
  const oldestHour = hourAt(db, 'asc')
  return async (wanted, limit) => {
    const { candidates, hash } = narrowest(indexes, wanted)
    const newest = (await db.first(newestHour, {}))?.hour ?? null
    const oldest = (await db.first(oldestHour, {}))?.hour ?? null
    if (newest === null || oldest === null) return []
    const first = Math.min(newest, wanted.before === undefined ? newest : hourOf(wanted.before))
    const last = Math.max(oldest, wanted.after === undefined ? oldest : hourOf(wanted.after))
    const found: Found[] = []
    for (let hour = first; hour >= last && found.length < limit; hour--) {
      for (let below = TOP, more = true; more && found.length < limit;) {
        const rows = await db.all(candidates, { hour, hash, below, limit: PAGE })
        for (const { queue_id } of rows) {
          below = queue_id
          const message = await confirmed(db, queue_id as QueueId, wanted)
          if (message !== null) found.push(message)
        }
        more = rows.length === PAGE
      }
    }
    return found
      .toSorted((one, other) => Date.parse(other.entry.acceptedAt) - Date.parse(one.entry.acceptedAt))
      .slice(0, limit)
  }
}

const hourAt = (db: Database<Tables>, end: 'asc' | 'desc') =>
  db.prepare((query) =>
    query
      .selectFrom('message')
      .select('accepted_hour as hour')
      .where('sender_hash', 'is not', null)
      .orderBy('accepted_hour', end)
      .limit(1),
  )

type Indexes = ReturnType<typeof indexesOf>

function indexesOf(db: Database<Tables>) {
  return {
    messageId: db.prepare((query, param: Param<Candidates>) =>
      query
        .selectFrom('message')
        .select('queue_id')
        .where('accepted_hour', '=', param('hour'))
        .where('message_id_hash', '=', param('hash'))
        .where('queue_id', '<', param('below'))
        .orderBy('queue_id', 'desc')
        .limit(param('limit')),
    ),
    sender: db.prepare((query, param: Param<Candidates>) =>
      query
        .selectFrom('message')
        .select('queue_id')
        .where('accepted_hour', '=', param('hour'))
        .where('sender_hash', '=', param('hash'))
        .where('queue_id', '<', param('below'))
        .orderBy('queue_id', 'desc')
        .limit(param('limit')),
    ),
    recipient: db.prepare((query, param: Param<Candidates>) =>
      query
        .selectFrom('original')
        .select('queue_id')
        .distinct()
        .where('accepted_hour', '=', param('hour'))
        .where('address_hash', '=', param('hash'))
        .where('queue_id', '<', param('below'))
        .orderBy('queue_id', 'desc')
        .limit(param('limit')),
    ),
  }
}

/** Most people have many messages from somebody, fewer to somebody, and one with a given Message-ID. */
function narrowest(indexes: Indexes, { messageId, sender, recipient }: Wanted) {
  if (messageId !== undefined) return { candidates: indexes.messageId, hash: hashOfMessageId(messageId) }
  if (recipient !== undefined) return { candidates: indexes.recipient, hash: hashOfAddress(recipient) }
  if (sender !== undefined) return { candidates: indexes.sender, hash: hashOfAddress(sender) }
  throw new Error('a Message-ID, a sender or a recipient')
}

const isSame = (one: string, other: string | undefined): boolean =>
  other === undefined || one.toLowerCase() === other.toLowerCase()

async function confirmed({ query }: Database<Tables>, queueId: QueueId, wanted: Wanted): Promise<Found | null> {
  const { messageId, sender, recipient, after, before } = wanted
  const row = await query.selectFrom('message').select('entry').where('queue_id', '=', queueId).executeTakeFirst()
  const entry = entryIn(row?.entry ?? null)
  if (entry === null || (messageId !== undefined && entry.messageId !== messageId)) return null
  const at = Date.parse(entry.acceptedAt)
  if (!isSame(entry.reversePath, sender) || at < (after ?? at) || at >= (before ?? Infinity)) return null
  if (recipient !== undefined) {
    const hash = hashOfAddress(recipient)
    const named = await query
      .selectFrom('original')
      .select('recipient')
      .where('queue_id', '=', queueId)
      .where('address_hash', '=', hash)
      .execute()
    if (!named.some((original) => isSame(recipientIn(original.recipient)?.forwardPath ?? '', recipient))) return null
  }
  const { recipients, open } = await query
    .selectFrom('recipient')
    .select((select) => [select.fn.countAll<number>().as('recipients'), sql<number>`coalesce(sum(open), 0)`.as('open')])
    .where('queue_id', '=', queueId)
    .where('listing', 'is not', null)
    .executeTakeFirstOrThrow()
  return { entry, recipients, open }
}
