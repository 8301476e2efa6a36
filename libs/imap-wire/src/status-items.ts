/**
 * What STATUS asks for — RFC 9051 §6.3.11, RFC 3501 §6.3.10 (RECENT), RFC 8438 (SIZE), RFC 7162 §3.1.7 (HIGHESTMODSEQ),
 * RFC 7889 §3.2, RFC 8474 §4.3, RFC 9208 §4.1.4 (DELETED-STORAGE).
 */
import type { Arguments } from './arguments.ts'
import { ImapSyntaxError } from './syntax-error.ts'

export const STATUS_ITEMS = [
  ...(['MESSAGES', 'RECENT', 'UIDNEXT', 'UIDVALIDITY', 'UNSEEN', 'DELETED', 'SIZE'] as const),
  ...(['HIGHESTMODSEQ', 'APPENDLIMIT', 'MAILBOXID', 'DELETED-STORAGE'] as const),
] as const
export type StatusItem = (typeof STATUS_ITEMS)[number]

export function parseStatusItems(args: Arguments): StatusItem[] {
  const items = args.list(() => parseStatusItem(args), { max: 2 * STATUS_ITEMS.length })
  return [...new Set(items)]
}

function parseStatusItem(args: Arguments): StatusItem {
  const name = args.keyword('a STATUS item')
  const item = STATUS_ITEMS.find((known) => known === name)
  if (!item) throw new ImapSyntaxError(`${name} is not a STATUS item`)
  return item
}
