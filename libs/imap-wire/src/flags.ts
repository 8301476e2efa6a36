/** Flags: system flags in their one spelling, keywords as first written — RFC 9051 §2.3.2. */
import type { Arguments } from './arguments.ts'
import { ImapLimitError, ImapSyntaxError } from './syntax-error.ts'

/** The flags a client may set. `\Recent` is the server's — RFC 3501 §2.3.2. */
export const SYSTEM_FLAGS = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'] as const

const MAX_FLAGS = 100
const MAX_FLAG_LENGTH = 200

const spelling = new Map(SYSTEM_FLAGS.map((flag) => [flag.toUpperCase(), flag]))

export function parseFlag(args: Arguments): string {
  const system = args.skip('\\')
  const name = args.atom('a flag')
  if (name.length >= MAX_FLAG_LENGTH) throw new ImapSyntaxError(`Flag longer than ${MAX_FLAG_LENGTH}`)
  if (!system) return name
  // There are no other system flags: flag-extension is for the future — RFC 9051 §9.
  const flag = spelling.get(`\\${name.toUpperCase()}`)
  if (!flag) throw new ImapSyntaxError(`\\${name} is not a flag that can be set`)
  return flag
}

export function parseFlagList(args: Arguments): string[] {
  return unique(args.list(() => parseFlag(args), { empty: true, max: MAX_FLAGS }))
}

/** STORE also takes flags without parentheses — RFC 9051 §9 (store-att-flags). */
export function parseStoreFlags(args: Arguments): string[] {
  if (args.next('(')) return parseFlagList(args)
  const flags = [parseFlag(args)]
  while (args.skip(' ')) {
    if (flags.length === MAX_FLAGS) throw new ImapLimitError(`More than ${MAX_FLAGS} flags`)
    flags.push(parseFlag(args))
  }
  return unique(flags)
}

/** Keywords differ by more than case — RFC 9051 §2.3.2. */
function unique(flags: string[]): string[] {
  return [...new Map(flags.map((flag) => [flag.toLowerCase(), flag])).values()]
}
