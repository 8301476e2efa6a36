/** Which of the results of a search or a set are meant, counted from either end — RFC 9394 §4 (partial-range). */
import type { Arguments } from './arguments.ts'
import type { NumberSet } from './sequence-set.ts'
import { ImapSyntaxError } from './syntax-error.ts'

export interface PartialRange {
  /** Counted from 1; `low` is not above `high`. */
  low: number
  high: number
  /** Counted from the last one backwards. */
  fromEnd: boolean
  /** As the client wrote it: an answer repeats it. */
  text: string
}

const RANGE = /(-?)([1-9][0-9]{0,9}):\1([1-9][0-9]{0,9})(?![0-9])/y

export function parsePartialRange(args: Arguments): PartialRange {
  const text = args.pattern(RANGE, 'a range such as 1:100 or -1:-100')
  const [first = 0, last = 0] = text.replaceAll('-', '').split(':').map(Number)
  if (Math.max(first, last) > 0xffff_ffff) throw new ImapSyntaxError('A range ends at 4294967295')
  return { low: Math.min(first, last), high: Math.max(first, last), fromEnd: text.startsWith('-'), text }
}

export function partOf(numbers: NumberSet, { low, high, fromEnd }: PartialRange): NumberSet {
  const { size } = numbers
  const [from, to] = fromEnd ? [size + 1 - high, size + 1 - low] : [low, high]
  const [first, last] = [numbers.at(Math.max(from, 1)), numbers.at(Math.min(to, size))]
  return first === undefined || last === undefined ? numbers.within(1, 0) : numbers.within(first, last)
}
