/**
 * Arguments of GETMETADATA and SETMETADATA. Names of entries are read in lower case: they are the same in any.
 *
 * STANDARDS  RFC 5464 §3.2 (names), §4.2–4.3, §5; RFC 9590 §5 (METADATA in LIST)
 */
import type { Arguments } from './arguments.ts'
import { ImapSyntaxError } from './syntax-error.ts'

export interface GetMetadata {
  /** '' for the server. */
  name: string
  entries: string[]
  depth: '0' | '1' | 'infinity'
  /** Octets; larger values are left out. */
  maxSize: number | undefined
}

export interface SetMetadata {
  name: string
  entries: { entry: string; value: Uint8Array | null }[]
}

/** What the mailstore's contract takes at once. */
const MAX_ENTRIES = 100
const MAX_NAME = 255
const MAX_OPTIONS = 10
const ENTRY = /^\/(?:private|shared)(?:\/[^/*%\u0000-\u001f\u007f-\uffff]+)+$/
const ABOVE = /^\/(?:private|shared)$/

export function parseGetMetadata(args: Arguments): GetMetadata {
  const early = args.next('(') ? words(args) : undefined
  if (early) args.space()
  const name = args.mailbox()
  let named = oneOrMore(args.space())
  let options = early ?? []
  // RFC 5464 §4.2 shows options behind the mailbox, its grammar has them before it. Entries begin with a slash.
  if (early === undefined && named[0]?.startsWith('/') === false) {
    options = named
    named = oneOrMore(args.space())
  }
  const { depth, maxSize } = parseOptions(options)
  return { name, entries: named.map((entry) => entryName(entry, depth !== '0')), depth, maxSize }
}

export function parseSetMetadata(args: Arguments): SetMetadata {
  const name = args.mailbox()
  const parsePair = () => {
    const entry = entryName(args.astring('an entry'), false)
    return { entry, value: args.space().nstringOctets() }
  }
  return { name, entries: args.space().list(parsePair, { max: MAX_ENTRIES }) }
}

/** What LIST is to return of each mailbox. */
export const parseMetadataEntries = (args: Arguments): string[] =>
  oneOrMore(args).map((entry) => entryName(entry, false))

const words = (args: Arguments): string[] => args.list(() => args.astring('a name'), { max: MAX_ENTRIES })
const oneOrMore = (args: Arguments): string[] => (args.next('(') ? words(args) : [args.astring('an entry')])

function parseOptions(given: readonly string[]): Pick<GetMetadata, 'depth' | 'maxSize'> {
  if (given.length > MAX_OPTIONS || given.length % 2 === 1)
    throw new ImapSyntaxError('Expected options and their values')
  let depth: GetMetadata['depth'] = '0'
  let maxSize: number | undefined
  for (let at = 0; at < given.length; at += 2) {
    const [option, value] = [given[at]?.toUpperCase(), given[at + 1]?.toLowerCase() ?? '']
    if (option === 'MAXSIZE' && /^[0-9]{1,10}$/.test(value)) maxSize = Number(value)
    else if (option === 'DEPTH' && (value === '0' || value === '1' || value === 'infinity')) depth = value
    else throw new ImapSyntaxError('Expected MAXSIZE with a number, or DEPTH with 0, 1 or infinity')
  }
  return { depth, maxSize }
}

function entryName(name: string, mayBeAbove: boolean): string {
  const entry = name.toLowerCase()
  if (entry.length > MAX_NAME || !(ENTRY.test(entry) || (mayBeAbove && ABOVE.test(entry))))
    throw new ImapSyntaxError('Entries are /private/... or /shared/..., without * and %')
  return entry
}
