/**
 * What stands in parentheses beside the arguments of SELECT, FETCH and STORE — RFC 7162 §7, RFC 9394 §4, RFC 4466 §2.
 * An empty list asks for nothing.
 */
import type { Arguments } from './arguments.ts'
import { parseModseq } from './modseq.ts'
import { parsePartialRange, type PartialRange } from './partial-range.ts'
import { BadSequenceSet, NumberSet } from './sequence-set.ts'
import { ImapSyntaxError } from './syntax-error.ts'

const MAX_MODIFIERS = 10
const KNOWN_SET = /[0-9:,]+/y

/** What a client still knows of a mailbox — RFC 7162 §3.2.5. */
export interface KnownState {
  uidValidity: number
  modseq: number
  /** Undefined: all there were. */
  uids?: NumberSet
}

export interface SelectParameters {
  condstore: boolean
  qresync?: KnownState
}

/** After the mailbox's name. */
export function parseSelectParameters(args: Arguments): SelectParameters {
  const parameters: SelectParameters = { condstore: false }
  modifiers(args, {
    CONDSTORE: () => {
      parameters.condstore = true
    },
    QRESYNC: () => {
      parameters.qresync = parseKnownState(args.space())
    },
  })
  return parameters
}

export interface FetchModifiers {
  changedSince?: number
  vanished: boolean
  partial?: PartialRange
}

/** After the items. */
export function parseFetchModifiers(args: Arguments): FetchModifiers {
  const parsed: FetchModifiers = { vanished: false }
  modifiers(args, {
    CHANGEDSINCE: () => {
      parsed.changedSince = parseModseq(args.space())
    },
    VANISHED: () => {
      parsed.vanished = true
    },
    PARTIAL: () => {
      parsed.partial = parsePartialRange(args.space())
    },
  })
  return parsed
}

/** After the set. */
export function parseUnchangedSince(args: Arguments): number | undefined {
  let unchangedSince: number | undefined
  if (!args.next('(')) return undefined
  list(args, {
    UNCHANGEDSINCE: () => {
      unchangedSince = parseModseq(args.space())
    },
  })
  args.space()
  return unchangedSince
}

type Readers = Record<string, () => void>

function modifiers(args: Arguments, readers: Readers): void {
  if (args.skip(' ')) list(args, readers)
}

function list(args: Arguments, readers: Readers): void {
  const read = (): void => {
    const name = args.keyword('a modifier')
    const reader = Object.hasOwn(readers, name) ? readers[name] : undefined
    if (!reader) throw new ImapSyntaxError(`${name} is not a modifier here`)
    reader()
  }
  args.list(read, { empty: true, max: MAX_MODIFIERS })
}

function parseKnownState(args: Arguments): KnownState {
  args.expect('(')
  const uidValidity = args.number('a UIDVALIDITY')
  const modseq = parseModseq(args.space())
  const state: KnownState = { uidValidity, modseq }
  if (args.skip(' ')) {
    const matchFirst = args.next('(')
    if (!matchFirst) state.uids = knownSet(args)
    if (matchFirst || args.skip(' ')) checkMatchData(args)
  }
  args.expect(')')
  return state
}

/**
 * Message numbers with their UIDs: with them a server that has forgotten which messages vanished need not name all that may
 * have — RFC 7162 §3.2.5.2. This one never forgets; they are only read.
 */
function checkMatchData(args: Arguments): void {
  args.expect('(')
  const numbers = knownSet(args)
  const uids = knownSet(args.space())
  args.expect(')')
  if (numbers.size !== uids.size) throw new ImapSyntaxError('As many message numbers as UIDs are to be given')
}

/** A set without `*` — RFC 7162 §7 (known-uids, known-sequence-set). */
function knownSet(args: Arguments): NumberSet {
  try {
    return NumberSet.parse(args.pattern(KNOWN_SET, 'a set of numbers'))
  } catch (cause) {
    if (cause instanceof BadSequenceSet) throw new ImapSyntaxError(cause.message, { cause })
    throw cause
  }
}
