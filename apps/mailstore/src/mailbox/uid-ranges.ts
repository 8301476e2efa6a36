/** Sets of UIDs as plain data: what crosses threads and goes into SQL. Ascending and disjoint, as NumberSet makes them. */
import { MAX_NUMBER, NumberSet } from '@postbus/imap-wire'

export type UidRange = readonly [first: number, last: number]

export const parseUidSet = (set: string): UidRange[] => [...NumberSet.parse(set).ranges()]

export const formatUidSet = (ranges: readonly UidRange[]): string => NumberSet.fromRanges(ranges).toString()

export const rangesOf = (uids: Iterable<number>): UidRange[] => [...NumberSet.from(uids).ranges()]

/** Ranges in any order as a set. */
export const joined = (ranges: Iterable<UidRange>): UidRange[] => [...NumberSet.fromRanges(ranges).ranges()]

/** What of the set lies above `uid`. */
export function above(ranges: readonly UidRange[], uid: number): UidRange[] {
  return [
    ...NumberSet.fromRanges(ranges)
      .within(uid + 1, MAX_NUMBER)
      .ranges(),
  ]
}

/** A row of a long set is cut to this many characters: a fraction of what one message on the bus may be. */
const MAX_PIECE_LENGTH = 64 * 1024

/** A set in an answer of one message, which has a mebibyte on the bus. */
export const MAX_ANSWERED_LENGTH = 768 * 1024

/** A set in wire pieces; the empty set is no piece. */
export function uidSetPieces(ranges: readonly UidRange[], maxLength = MAX_PIECE_LENGTH): Iterable<string> {
  return NumberSet.fromRanges(ranges).pieces(maxLength)
}
