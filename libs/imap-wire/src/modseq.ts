/**
 * Mod-sequence values — RFC 7162 §7: up to 63 bits. Above what a number keeps exactly they mean the same here: higher than
 * any there is. Zero is read everywhere, as clients with nothing cached write it.
 */
import type { Arguments } from './arguments.ts'
import { ImapSyntaxError } from './syntax-error.ts'

const DIGITS = /[0-9]{1,19}(?![0-9])/y
const HIGHEST = 2n ** 63n - 1n

export function parseModseq(args: Arguments): number {
  const digits = args.pattern(DIGITS, 'a mod-sequence')
  if (BigInt(digits) > HIGHEST) throw new ImapSyntaxError('A mod-sequence has 63 bits')
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER)
}
