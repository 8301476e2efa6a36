/**
 * SORT and THREAD: by keys worked out when the message came, in rows that hold nothing else. What is in memory is a number
 * for each message of a sort, and a small object for each of threads.
 *
 * STANDARDS  RFC 5256 §2.2, §3, §5; RFC 5957
 */
import type { SortCriterion } from '@postbus/contracts'
import { orderedSubjectThreads, referencesThreads, type Threads, TooManyIdentifiers } from '@postbus/message'
import type { Reader } from '@postbus/sql'
import { type RawBuilder, sql } from 'kysely'

import type { ThreadAlgorithm } from '../../../mailbox/storage.ts'
import type { UidRange } from '../../../mailbox/uid-ranges.ts'
import type { ReadOperation } from '../operation.ts'
import { messagesOf } from '../rows.ts'
import type { Tables } from '../schema.ts'
import { findMailbox } from '../tables.ts'

/** Characters of threads in one piece: a fraction of what one message on the bus may be. */
const PIECE = 64 * 1024

/**
 * RFC 5256 §2.2: a message without a usable Date is as old as its internal date. Both are in seconds, as clients see them: of two
 * messages of one second the first in the mailbox comes first.
 */
const sentDate = sql<number>`coalesce(sort_keys.sent_at, messages.internal_date) / 1000`

const expressions: Record<SortCriterion['by'], RawBuilder<unknown>> = {
  arrival: sql`messages.internal_date / 1000`,
  cc: sql`sort_keys.cc_mailbox`,
  date: sentDate,
  displayFrom: sql`sort_keys.display_from`,
  displayTo: sql`sort_keys.display_to`,
  from: sql`sort_keys.from_mailbox`,
  size: sql`messages.size`,
  subject: sql`sort_keys.subject`,
  to: sql`sort_keys.to_mailbox`,
}

export const sort: ReadOperation<'sort'> = async (db, { uids, criteria, ...mailbox }) => {
  if ((await findMailbox(db, mailbox)) === undefined) return null
  let query = keysOf(db, mailbox.mailbox, uids).select('messages.uid')
  for (const { by, reverse } of criteria) query = query.orderBy(expressions[by], reverse ? 'desc' : 'asc')
  const sorted: number[] = []
  for await (const { uid } of query.orderBy('messages.uid').stream()) sorted.push(uid)
  return Uint32Array.from(sorted)
}

export const thread: ReadOperation<'thread'> = async (db, { uids, algorithm, ...mailbox }) => {
  if ((await findMailbox(db, mailbox)) === undefined) return null
  const threads = algorithms[algorithm]()
  try {
    await addMessages(db, mailbox.mailbox, uids, threads)
  } catch (error) {
    if (error instanceof TooManyIdentifiers) return { kind: 'tooLong' }
    throw error
  }
  return { kind: 'threads', pieces: [...threads.pieces(PIECE)] }
}

const algorithms: Record<ThreadAlgorithm, () => Threads> = {
  orderedSubject: orderedSubjectThreads,
  references: () => referencesThreads(),
}

async function addMessages(db: Reader<Tables>, mailbox: number, uids: readonly UidRange[], threads: Threads) {
  const rows = keysOf(db, mailbox, uids)
    .select(['messages.uid', sentDate.as('at')])
    .select(['sort_keys.subject', 'sort_keys.is_reply', 'sort_keys.message_id', 'sort_keys.ancestors'])
    .orderBy('messages.uid')
    .stream()
  for await (const { uid, at, subject, is_reply: isReply, message_id: messageId, ancestors } of rows) {
    const references = ancestors === '' ? [] : ancestors.split(' ')
    threads.add({ uid, at, subject, isReply: isReply !== 0, messageId, references })
  }
}

const keysOf = (db: Reader<Tables>, mailbox: number, uids: readonly UidRange[]) =>
  messagesOf(db, mailbox, uids)
    .innerJoin('emails', 'emails.id', 'messages.email')
    .innerJoin('sort_keys', 'sort_keys.content', 'emails.content')
