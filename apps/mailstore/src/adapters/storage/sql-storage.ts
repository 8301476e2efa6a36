/**
 * The port over a Database: reads see one moment each, writes that wait for the disk together share a transaction.
 * Runs in whatever thread owns the connections.
 */
import { BatchFull, gather, type Gatherer } from '@postbus/batch'
import { StorageBusy, StorageCorrupt, StorageFailed, StorageFull, type Reader, type Transaction } from '@postbus/sql'

import {
  type MailboxChange,
  type MailStorage,
  type Outcome,
  StorageUnavailable,
  type Writes,
} from '../../mailbox/storage.ts'
import { isUnlimited, type Lane, laneOf, locksOf, maxCommandsOf } from './lanes.ts'
import {
  type MailDatabase,
  type ReadOperations,
  Refused,
  type WriteContext,
  type WriteOperations,
} from './operation.ts'
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
/** What a server could not do just now, a deadlock between two processes above all, is tried again until then. */
const TRY_AGAIN_MS = 3000

export function readingFrom(db: MailDatabase, operations: ReadOperations): Reading {
  return (kind, input) => atOneMoment(db, (reader) => operations[kind](reader, input))
}

/** @throws StorageUnavailable */
export async function atOneMoment<R>(db: MailDatabase, work: (reader: Reader<Tables>) => Promise<R>): Promise<R> {
  try {
    return await db.snapshot(work)
  } catch (error) {
    return asUnavailable(error)
  }
}

interface Command {
  kind: keyof Writes
  locks: string[] | undefined
  run(tx: Transaction<Tables>): Promise<Outcome<unknown>>
}

type Ran = { kind: 'ran'; outcome: Outcome<unknown> } | { kind: 'failed'; error: unknown }

export function writingTo(db: MailDatabase, operations: WriteOperations): Writing {
  const lanes = new Map<Lane, Gatherer<Command, Ran>>()

  function opened(lane: Lane): Gatherer<Command, Ran> {
    const limits = { maxItems: maxCommandsOf(lane, MAX_COMMANDS), maxSize: MAX_WEIGHT, maxWaiting: MAX_WAITING }
    const sizeOf = ({ kind }: Command): number => weights[kind] ?? 1
    return gather<Command, Ran>((commands) => committed(db, commands), { ...limits, sizeOf })
  }

  return async <Kind extends keyof Writes>(kind: Kind, input: Writes[Kind]['input']) => {
    const result = await lanes
      .getOrInsertComputed(laneOf(db, kind, input), opened)
      .add({ kind, locks: locksOf(kind, input), run: (tx) => run(tx, (context) => operations[kind](context, input)) })
      .catch(asUnavailable)
    if (result.kind === 'failed') throw result.error
    return result.outcome as Outcome<Writes[Kind]['output']> // what `run` made of this very command
  }
}

async function committed(db: MailDatabase, commands: readonly Command[]): Promise<Ran[]> {
  const options = {
    ...(commands.every(({ locks }) => locks !== undefined) && { locks: allLocks(commands) }),
    ...(commands.some(({ kind }) => isUnlimited(kind)) && { statementTimeoutMs: 0 }),
  }
  const deadline = performance.now() + TRY_AGAIN_MS
  for (;;) {
    try {
      const [only, ...others] = commands
      if (only !== undefined && others.length === 0) return [await settled(() => db.transaction(only.run, options))]
      return await db.transaction(async (tx) => {
        const results: Ran[] = []
        for (const command of commands) results.push(await settled(() => tx.savepoint(() => command.run(tx))))
        return results
      }, options)
    } catch (error) {
      // SQLite has waited already.
      const isToBeTried = error instanceof StorageBusy && db.dialect === 'postgres' && performance.now() < deadline
      if (!isToBeTried) throw error
    }
  }
}

const allLocks = (commands: readonly Command[]): string[] => commands.flatMap(({ locks = [] }) => locks)

/** @throws Refused and all else: what it did is to be undone */
async function run<T>(tx: Transaction<Tables>, operation: (context: WriteContext) => Promise<T>): Promise<Outcome<T>> {
  const changes = new Map<number, MailboxChange>()
  const changed = (change: MailboxChange) => void changes.set(change.mailbox, change)
  const value = await operation({ tx, changed })
  return { kind: 'ok', value, changes: [...changes.values()] }
}

/** A command that is refused or fails by itself is undone alone; when the storage fails, the whole transaction does. */
async function settled(work: () => Promise<Outcome<unknown>>): Promise<Ran> {
  try {
    return { kind: 'ran', outcome: await work() }
  } catch (error) {
    if (error instanceof Refused) {
      return { kind: 'ran', outcome: { kind: 'refused', code: error.code, reason: error.message } }
    }
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
