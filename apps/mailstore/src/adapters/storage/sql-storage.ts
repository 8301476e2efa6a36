/**
 * The port over a Database: reads see one moment each, writes that wait for the disk together share a transaction.
 * Runs in whatever thread owns the connections.
 */
import { BatchFull, gather } from '@postbus/batch'
import { StorageBusy, StorageCorrupt, StorageFailed, StorageFull, type Transaction } from '@postbus/sql'
import { sql } from 'kysely'

import {
  type MailboxChange,
  type MailStorage,
  type Outcome,
  StorageUnavailable,
  type Writes,
} from '../../mailbox/storage.ts'
import { type MailDatabase, type ReadOperations, Refused, type WriteOperations } from './operation.ts'
import type { Tables } from './schema.ts'

export type Reading = MailStorage['read']
export type Writing = MailStorage['write']

/** Commands in one transaction; what one of them does is weighed below. */
const MAX_COMMANDS = 64
/** Waiting commands beyond this are refused: their askers have long given up. */
const MAX_WAITING = 20_000
/** About a millisecond of work each; a transaction takes commands until it weighs this much. */
const MAX_WEIGHT = 60
const weights: Partial<Record<keyof Writes, number>> = {
  store: 20,
  copy: 40,
  expunge: 20,
  restore: 20,
  rename: 40,
  purge: 30,
  repair: 40,
}

export function readingFrom(db: MailDatabase, operations: ReadOperations): Reading {
  const atOneMoment = snapshots(db)
  return (kind, input) => atOneMoment(() => operations[kind](db, input))
}

/** One at a time: the connection is in one read transaction or in none. */
export function snapshots(db: MailDatabase): <R>(work: () => Promise<R>) => Promise<R> {
  const begin = db.prepare((query) => sql`begin`.compile(query))
  const commit = db.prepare((query) => sql`commit`.compile(query))
  const snapshot = async <R>(work: () => Promise<R>): Promise<R> => {
    await db.all(begin, {})
    try {
      return await work()
    } finally {
      await db.all(commit, {})
    }
  }
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const result = last.then(() => snapshot(work)).catch(asUnavailable)
    last = result.catch(() => {})
    return result
  }
}

interface Command {
  kind: keyof Writes
  run(tx: Transaction<Tables>): Promise<Outcome<unknown>>
}

type Ran = { kind: 'ran'; outcome: Outcome<unknown> } | { kind: 'failed'; error: unknown }

export function writingTo(db: MailDatabase, operations: WriteOperations): Writing {
  const commands = gather<Command, Ran>(
    (group) =>
      db.transaction(async (tx) => {
        const results: Ran[] = []
        for (const command of group) results.push(await settled(() => command.run(tx)))
        return results
      }),
    { maxItems: MAX_COMMANDS, maxSize: MAX_WEIGHT, sizeOf: ({ kind }) => weights[kind] ?? 1, maxWaiting: MAX_WAITING },
  )
  return async <Kind extends keyof Writes>(kind: Kind, input: Writes[Kind]['input']) => {
    const result = await commands
      .add({ kind, run: (tx) => run(tx, (context) => operations[kind](context, input)) })
      .catch(asUnavailable)
    if (result.kind === 'failed') throw result.error
    return result.outcome as Outcome<Writes[Kind]['output']> // what `run` made of this very command
  }
}

async function run<T>(
  tx: Transaction<Tables>,
  operation: (context: { tx: Transaction<Tables>; changed(change: MailboxChange): void }) => Promise<T>,
): Promise<Outcome<T>> {
  const changes = new Map<number, MailboxChange>()
  try {
    const changed = (change: MailboxChange) => void changes.set(change.mailbox, change)
    const value = await tx.savepoint(() => operation({ tx, changed }))
    return { kind: 'ok', value, changes: [...changes.values()] }
  } catch (error) {
    if (error instanceof Refused) return { kind: 'refused', code: error.code, reason: error.message }
    throw error
  }
}

/** A command that fails by itself is undone and fails alone; when the storage fails, the whole transaction does. */
async function settled(work: () => Promise<Outcome<unknown>>): Promise<Ran> {
  try {
    return { kind: 'ran', outcome: await work() }
  } catch (error) {
    if (isOfStorage(error)) throw error
    return { kind: 'failed', error }
  }
}

const isOfStorage = (error: unknown): boolean =>
  [StorageBusy, StorageFull, StorageFailed, StorageCorrupt, BatchFull].some((Kind) => error instanceof Kind)

function asUnavailable(error: unknown): never {
  if (error instanceof Error && isOfStorage(error)) throw new StorageUnavailable(error.message, { cause: error })
  throw error
}
