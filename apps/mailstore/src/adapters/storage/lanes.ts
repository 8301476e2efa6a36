/**
 * Which writes may be under way at the same time, and what each has to itself.
 *
 * SQLite has one writer: one lane. On PostgreSQL a transaction has to itself, from its first statement until its commit is seen by all, the
 * accounts its commands change; whoever else wants one of them waits, in this process or another. That is what every operation relies
 * on: a mailbox's UIDNEXT, MODSEQ and counters are read, counted on and written by one at a time, so UIDs and MODSEQs become visible in
 * the order they were given out, and quota is exact.
 */
import type { Writes } from '../../mailbox/storage.ts'
import type { Speaker } from './dialect.ts'

/** Commands of one lane take turns, and share transactions. */
export const LANES = ['all', 'deliveries', 'sessions 0', 'sessions 1', 'sessions 2', 'housekeeping'] as const
export type Lane = (typeof LANES)[number]

const sessions = ['sessions 0', 'sessions 1', 'sessions 2'] as const

/** Transactions under way at once. */
export const MAX_WRITERS = LANES.length - 1

/** What goes over all accounts: on a server never in one transaction with others. */
const alone: ReadonlySet<keyof Writes> = new Set(['purge', 'renewUidValidities', 'forgetTexts', 'repair'] as const)

export function laneOf<Kind extends keyof Writes>(
  { dialect }: Speaker,
  kind: Kind,
  input: Writes[Kind]['input'],
): Lane {
  if (dialect === 'sqlite') return 'all'
  if (alone.has(kind)) return 'housekeeping'
  // Many accounts at once: other commands of these accounts wait for it, and nobody else.
  if (kind === 'deliver') return 'deliveries'
  const [account = ''] = accountsIn(input)
  let sum = 0
  for (let at = 0; at < account.length; at++) sum += account.charCodeAt(at)
  return sessions[sum % sessions.length] ?? 'sessions 0'
}

/** Commands of the lane that share a transaction: at most. */
export const maxCommandsOf = (lane: Lane, most: number): number => (lane === 'housekeeping' ? 1 : most)

/** What takes as long as the database is large. */
export const isUnlimited = (kind: keyof Writes): boolean => kind === 'renewUidValidities'

/** What a command has to itself; undefined: everything. See TransactionOptions of @postbus/sql. */
export function locksOf<Kind extends keyof Writes>(kind: Kind, input: Writes[Kind]['input']): string[] | undefined {
  const accounts = accountsIn(input).map((account) => `account ${account}`)
  switch (kind) {
    case 'renewUidValidities':
      return undefined
    case 'purge':
      return [PURGE]
    case 'repair':
      // It counts how often emails are shown, which a purge changes.
      return [...accounts, PURGE]
    default:
      return accounts
  }
}

const PURGE = 'purge'

function accountsIn(input: unknown): string[] {
  if (Array.isArray(input)) return input.flatMap(accountsIn)
  if (typeof input !== 'object' || input === null || !('account' in input)) return []
  return typeof input.account === 'string' ? [input.account] : []
}
