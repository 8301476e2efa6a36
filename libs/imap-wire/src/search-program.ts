/**
 * SEARCH programs as trees — RFC 9051 §6.4.4, RFC 3501 §6.4.4 (NEW, OLD, RECENT), RFC 5032 (OLDER, YOUNGER), RFC 7162
 * §3.1.5 (MODSEQ), RFC 8474 §5.3 (EMAILID, THREADID), RFC 8514 §4.3 (SAVEDBEFORE …).
 *
 * Neutral: sets of numbers are as the client wrote them, strings are octets in the program's charset, so that whoever runs
 * it resolves the ones and decodes the others.
 */
import { Arguments } from './arguments.ts'
import { parseDate } from './dates.ts'
import { parseFlag } from './flags.ts'
import { parseModseq } from './modseq.ts'
import { parseSearchReturn, type SearchReturn } from './search-return.ts'
import type { SequenceSet } from './sequence-set.ts'
import { ImapLimitError, ImapSyntaxError } from './syntax-error.ts'

export type SearchProgram =
  | { kind: 'all' }
  | { kind: 'recent' }
  | { kind: 'and' | 'or'; keys: SearchProgram[] }
  | { kind: 'not'; key: SearchProgram }
  | { kind: 'flag'; flag: string }
  | { kind: 'numbers' | 'uids'; set: SequenceSet }
  /** `envelope`: the field as the envelope has it — RFC 9051 §6.4.4 (FROM). */
  | { kind: 'header'; field: string; value: Uint8Array; envelope: boolean }
  | { kind: 'body' | 'text'; value: Uint8Array }
  | { kind: 'date'; of: 'internal' | 'sent' | 'saved'; is: 'before' | 'on' | 'since'; date: string }
  | { kind: 'size'; is: 'larger' | 'smaller'; octets: number }
  | { kind: 'within'; is: 'older' | 'younger'; seconds: number }
  | { kind: 'modseq'; modseq: number }
  | { kind: 'emailId'; id: string }
  | { kind: 'threadId'; id: string }

export interface Search {
  /** As the client named it. */
  charset?: string
  program: SearchProgram
  /** Undefined: the answer is a plain list. */
  return?: SearchReturn
}

/** Deeper programs are refused: whoever runs them recurses. */
const MAX_DEPTH = 50
const MAX_KEYS = 500

const WORD = /[A-Za-z]+/y

const flag = (name: string): SearchProgram => ({ kind: 'flag', flag: name })
const not = (key: SearchProgram): SearchProgram => ({ kind: 'not', key })
const recent: SearchProgram = { kind: 'recent' }

const bare = new Map<string, SearchProgram>([
  ['ALL', { kind: 'all' }],
  ['ANSWERED', flag('\\Answered')],
  ['DELETED', flag('\\Deleted')],
  ['DRAFT', flag('\\Draft')],
  ['FLAGGED', flag('\\Flagged')],
  ['SEEN', flag('\\Seen')],
  ['UNANSWERED', not(flag('\\Answered'))],
  ['UNDELETED', not(flag('\\Deleted'))],
  ['UNDRAFT', not(flag('\\Draft'))],
  ['UNFLAGGED', not(flag('\\Flagged'))],
  ['UNSEEN', not(flag('\\Seen'))],
  ['RECENT', recent],
  ['OLD', not(recent)],
  // RFC 8514 §4.3: every message here has one.
  ['SAVEDATESUPPORTED', { kind: 'all' }],
  ['NEW', { kind: 'and', keys: [recent, not(flag('\\Seen'))] }],
])

type Reader = (args: Arguments, budget: Budget, depth: number) => SearchProgram

const date =
  (of: 'internal' | 'sent' | 'saved', is: 'before' | 'on' | 'since'): Reader =>
  (args) => ({ kind: 'date', of, is, date: parseDate(args) })
const ofEnvelope =
  (field: string): Reader =>
  (args) => ({ kind: 'header', field, value: args.astringBytes('a string to search for'), envelope: true })

const withArgument = new Map<string, Reader>([
  ['BCC', ofEnvelope('Bcc')],
  ['CC', ofEnvelope('Cc')],
  ['FROM', ofEnvelope('From')],
  ['SUBJECT', ofEnvelope('Subject')],
  ['TO', ofEnvelope('To')],
  ['HEADER', parseHeaderKey],
  ['BODY', (args) => ({ kind: 'body', value: args.astringBytes('a string to search for') })],
  ['TEXT', (args) => ({ kind: 'text', value: args.astringBytes('a string to search for') })],
  ['KEYWORD', (args) => flag(parseKeyword(args))],
  ['UNKEYWORD', (args) => not(flag(parseKeyword(args)))],
  ['BEFORE', date('internal', 'before')],
  ['ON', date('internal', 'on')],
  ['SINCE', date('internal', 'since')],
  ['SENTBEFORE', date('sent', 'before')],
  ['SENTON', date('sent', 'on')],
  ['SENTSINCE', date('sent', 'since')],
  ['LARGER', (args) => ({ kind: 'size', is: 'larger', octets: args.number64('a size') })],
  ['SMALLER', (args) => ({ kind: 'size', is: 'smaller', octets: args.number64('a size') })],
  ['SAVEDBEFORE', date('saved', 'before')],
  ['SAVEDON', date('saved', 'on')],
  ['SAVEDSINCE', date('saved', 'since')],
  ['OLDER', (args) => ({ kind: 'within', is: 'older', seconds: args.nzNumber('seconds above zero') })],
  ['YOUNGER', (args) => ({ kind: 'within', is: 'younger', seconds: args.nzNumber('seconds above zero') })],
  ['MODSEQ', parseModseqKey],
  ['EMAILID', (args) => ({ kind: 'emailId', id: parseObjectId(args) })],
  ['THREADID', (args) => ({ kind: 'threadId', id: parseObjectId(args) })],
  ['UID', (args) => ({ kind: 'uids', set: args.sequenceSet() })],
  ['NOT', (args, budget, depth) => not(parseKey(args, budget, depth + 1))],
  ['OR', parseOr],
])

/** What may still be spent on one program. */
interface Budget {
  keys: number
}

export function parseSearch(args: Arguments): Search {
  const options = parseSearchReturn(args)
  const charset = parseCharset(args)
  const program = conjunction(parseKeys(args, { keys: MAX_KEYS }, 0))
  return { program, ...(charset !== undefined && { charset }), ...(options && { return: options }) }
}

/** As SORT and THREAD have it: a charset, always, then the keys — RFC 5256 §5 (search-criteria). */
export function parseSearchCriteria(args: Arguments): Search {
  const charset = args.astring('a charset')
  return { charset, program: conjunction(parseKeys(args.space(), { keys: MAX_KEYS }, 0)) }
}

function parseCharset(args: Arguments): string | undefined {
  if (!args.skipWord('CHARSET')) return undefined
  const charset = args.space().astring('a charset')
  args.space()
  return charset
}

/** Keys in a row mean all of them — RFC 9051 §6.4.4. */
function parseKeys(args: Arguments, budget: Budget, depth: number): SearchProgram[] {
  const keys = [parseKey(args, budget, depth)]
  while (args.skip(' ')) keys.push(parseKey(args, budget, depth))
  return keys
}

function conjunction(keys: SearchProgram[]): SearchProgram {
  const [only, ...others] = keys
  return only && others.length === 0 ? only : { kind: 'and', keys }
}

function parseKey(args: Arguments, budget: Budget, depth: number): SearchProgram {
  if (depth > MAX_DEPTH) throw new ImapLimitError(`SEARCH nested deeper than ${MAX_DEPTH}`)
  if (--budget.keys < 0) throw new ImapLimitError(`SEARCH with more than ${MAX_KEYS} keys`)
  if (args.skip('(')) {
    const keys = parseKeys(args, budget, depth + 1)
    args.expect(')')
    return conjunction(keys)
  }
  if (startsSet(args)) return { kind: 'numbers', set: args.sequenceSet() }
  const word = args.pattern(WORD, 'a SEARCH key').toUpperCase()
  const simple = bare.get(word)
  if (simple) return simple
  const read = withArgument.get(word)
  if (!read) throw new ImapSyntaxError(`${word} is not a SEARCH key`)
  return read(args.space(), budget, depth)
}

function startsSet(args: Arguments): boolean {
  return [...'123456789*$'].some((character) => args.next(character))
}

function parseOr(args: Arguments, budget: Budget, depth: number): SearchProgram {
  const either = parseKey(args, budget, depth + 1)
  const or = parseKey(args.space(), budget, depth + 1)
  return { kind: 'or', keys: [either, or] }
}

function parseHeaderKey(args: Arguments): SearchProgram {
  const field = args.fieldName()
  return { kind: 'header', field, value: args.space().astringBytes('a string to search for'), envelope: false }
}

/** An atom. Some clients quote it, as they do the other arguments; they are understood, as in Dovecot. */
function parseKeyword(args: Arguments): string {
  if (!args.next('"')) return parseKeywordAtom(args)
  const quoted = new Arguments({ lines: [args.string('a keyword')], literals: [] })
  const keyword = parseKeywordAtom(quoted)
  quoted.end()
  return keyword
}

function parseKeywordAtom(args: Arguments): string {
  if (args.next('\\')) throw new ImapSyntaxError('A keyword does not begin with a backslash')
  return parseFlag(args)
}

/** Every flag of a message has the message's MODSEQ, so which entry is named makes no difference — RFC 7162 §3.1.5. */
function parseModseqKey(args: Arguments): SearchProgram {
  if (args.next('"')) {
    if (!args.string('an entry name').startsWith('/flags/'))
      throw new ImapSyntaxError('An entry is named /flags/ and a flag')
    const type = args.space().keyword('an entry type')
    if (!['ALL', 'PRIV', 'SHARED'].includes(type)) throw new ImapSyntaxError(`${type} is not an entry type`)
    args.space()
  }
  return { kind: 'modseq', modseq: parseModseq(args) }
}

const OBJECT_ID = /[A-Za-z0-9_-]{1,255}(?![A-Za-z0-9_-])/y

/** RFC 8474 §7 (objectid) */
function parseObjectId(args: Arguments): string {
  return args.pattern(OBJECT_ID, 'an object identifier')
}
