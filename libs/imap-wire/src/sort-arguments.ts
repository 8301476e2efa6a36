/** Arguments of SORT and THREAD — RFC 5256 §3, §5; RFC 5957 §5. */
import type { Arguments } from './arguments.ts'
import { parseSearchCriteria, type Search } from './search-program.ts'
import { ImapSyntaxError } from './syntax-error.ts'

const CRITERIA = {
  ARRIVAL: 'arrival',
  CC: 'cc',
  DATE: 'date',
  DISPLAYFROM: 'displayFrom',
  DISPLAYTO: 'displayTo',
  FROM: 'from',
  SIZE: 'size',
  SUBJECT: 'subject',
  TO: 'to',
} as const

export interface SortCriterion {
  by: (typeof CRITERIA)[keyof typeof CRITERIA]
  reverse: boolean
}

const ALGORITHMS = { ORDEREDSUBJECT: 'orderedSubject', REFERENCES: 'references' } as const
export type ThreadAlgorithm = (typeof ALGORITHMS)[keyof typeof ALGORITHMS]

/** There are nine; naming one again changes nothing. */
const MAX_CRITERIA = 20

/** `(REVERSE DATE SUBJECT) UTF-8 ALL`; of a criterion that comes twice only the first decides. */
export function parseSortArguments(args: Arguments): { criteria: SortCriterion[]; search: Search } {
  const criteria = args.list(() => parseCriterion(args), { max: MAX_CRITERIA })
  const named = new Map(criteria.toReversed().map((criterion) => [criterion.by, criterion]))
  return { criteria: criteria.filter((each) => named.get(each.by) === each), search: parseSearchCriteria(args.space()) }
}

/** `REFERENCES UTF-8 ALL` */
export function parseThreadArguments(args: Arguments): { algorithm: ThreadAlgorithm; search: Search } {
  const name = args.keyword('a threading algorithm')
  if (!isKeyOf(ALGORITHMS, name)) throw new ImapSyntaxError(`${name} is not a threading algorithm`)
  return { algorithm: ALGORITHMS[name], search: parseSearchCriteria(args.space()) }
}

function parseCriterion(args: Arguments): SortCriterion {
  const reverse = args.skipWord('REVERSE')
  const name = (reverse ? args.space() : args).keyword('a SORT criterion')
  if (!isKeyOf(CRITERIA, name)) throw new ImapSyntaxError(`${name} is not a SORT criterion`)
  return { by: CRITERIA[name], reverse }
}

function isKeyOf<Known extends object>(known: Known, name: PropertyKey): name is keyof Known {
  return Object.hasOwn(known, name)
}
