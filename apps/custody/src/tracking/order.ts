/**
 * Which of two statuses of one final recipient stands.
 *
 * Statuses come at least once and in any order, so the answer must not depend on which came first: an end beats whatever is
 * open, then the higher (incarnation, attempt, rank) wins. Two that agree in all of that differ in their clock at most, and
 * the earlier one stands.
 */
import type { Status } from '@postbus/contracts'

export type RecipientStatus = Exclude<Status, { kind: 'routed' }>

/** Within one attempt: what can only come later ranks higher; among ends, mail that has arrived beats any other news. */
const RANK = {
  deferred: 1,
  held: 2,
  released: 3,
  dead: 4,
  cancelled: 5,
  discarded: 6,
  expired: 7,
  failed: 8,
  relayed: 9,
  delivered: 10,
} as const satisfies Record<RecipientStatus['kind'], number>

const FIRST_END = RANK.cancelled

/** Nothing more happens to this recipient: an ended recipient never reopens. */
export const isEnd = ({ kind }: Pick<RecipientStatus, 'kind'>): boolean => RANK[kind] >= FIRST_END

/** A later place supersedes an earlier one; two statuses in one place are the same news. */
export interface PlaceInOrder {
  ended: number
  incarnation: number
  attempt: number
  rank: number
}

export const placeInOrder = ({ kind, incarnation, attempt }: RecipientStatus): PlaceInOrder => ({
  ended: Number(isEnd({ kind })),
  incarnation,
  attempt,
  rank: RANK[kind],
})

export const isSameNews = (one: RecipientStatus, other: RecipientStatus): boolean =>
  one.kind === other.kind && one.attempt === other.attempt && one.incarnation === other.incarnation

/**
 * Whether somebody spoke, or tried to speak, with where the recipient goes. A hold or a release is no attempt, and neither is
 * a failure a rule or an operator decided.
 */
export function isAttempt(status: RecipientStatus): boolean {
  switch (status.kind) {
    case 'relayed':
    case 'deferred':
    case 'expired':
      return status.attempt > 0
    case 'failed':
      return status.attempt > 0 && status.rule === undefined
    default:
      return false
  }
}

/** Whether `status` takes the place of `known`. Never true of a status and itself. */
export function supersedes(status: RecipientStatus, known: RecipientStatus): boolean {
  return (
    (Number(isEnd(status)) - Number(isEnd(known)) ||
      status.incarnation - known.incarnation ||
      status.attempt - known.attempt ||
      RANK[status.kind] - RANK[known.kind] ||
      compare(known.at, status.at) ||
      compare(JSON.stringify(status), JSON.stringify(known))) > 0
  )
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)
