/** The arguments of LIST with selection and return options — RFC 5258 §6, RFC 6154 §6, RFC 5819 §4, RFC 9590 §5. */
import type { Arguments } from './arguments.ts'
import { ListPattern } from './list-pattern.ts'
import { parseMetadataEntries } from './metadata.ts'
import { parseStatusItems, type StatusItem } from './status-items.ts'
import { ImapSyntaxError } from './syntax-error.ts'

export interface ListArguments {
  reference: string
  /** As written; an empty one asks for the separator — RFC 9051 §6.3.9. */
  patterns: string[]
  select: Set<ListSelect>
  return: Set<ListReturn>
  status: StatusItem[]
  /** Entries, of each mailbox. */
  metadata: string[]
  /** Options or several patterns were used: RFC 5258's rules for attributes hold. */
  extended: boolean
}

const SELECT = ['SUBSCRIBED', 'REMOTE', 'RECURSIVEMATCH', 'SPECIAL-USE'] as const
export type ListSelect = (typeof SELECT)[number]

const RETURN = ['SUBSCRIBED', 'CHILDREN', 'SPECIAL-USE', 'STATUS', 'METADATA'] as const
export type ListReturn = (typeof RETURN)[number]

const MAX_PATTERNS = 100
const MAX_OPTIONS = 20

export function parseListArguments(args: Arguments): ListArguments {
  const selectOptions = args.next('(')
  const select = new Set(
    selectOptions ? args.list(() => option(args, SELECT, 'selection'), { empty: true, max: MAX_OPTIONS }) : [],
  )
  // RECURSIVEMATCH says how to treat what another option selects — RFC 5258 §3.1.
  if (select.has('RECURSIVEMATCH') && !select.has('SUBSCRIBED') && !select.has('SPECIAL-USE'))
    throw new ImapSyntaxError('RECURSIVEMATCH needs another selection option')
  if (selectOptions) args.space()
  const reference = args.astring('a reference name')
  args.space()
  const several = args.next('(')
  const patterns = several ? args.list(() => args.listMailbox(), { max: MAX_PATTERNS }) : [args.listMailbox()]
  let status: StatusItem[] = []
  let metadata: string[] = []
  const returned = new Set<ListReturn>()
  const returnOptions = args.skip(' ')
  if (returnOptions) {
    if (!args.skipWord('RETURN')) throw new ImapSyntaxError('Expected RETURN')
    const parseReturn = (): void => {
      const name = option(args, RETURN, 'return')
      returned.add(name)
      if (name === 'STATUS') status = parseStatusItems(args.space())
      if (name === 'METADATA') metadata = parseMetadataEntries(args.space())
    }
    args.space().list(parseReturn, { empty: true, max: MAX_OPTIONS })
  }
  const extended = selectOptions || several || returnOptions
  return { reference, patterns, select, return: returned, status, metadata, extended }
}

export function listPatterns({ reference, patterns }: ListArguments, options: { utf8?: boolean }): ListPattern[] {
  return patterns.map((pattern) => new ListPattern(reference, pattern, options))
}

function option<Name extends string>(args: Arguments, known: readonly Name[], what: string): Name {
  const name = args.keyword(`a ${what} option`)
  const found = known.find((option) => option === name)
  if (!found) throw new ImapSyntaxError(`${name} is not a ${what} option of LIST`)
  return found
}
