/**
 * Whether the sender must be told what became of a recipient.
 *
 * STANDARDS  RFC 3461 §4.1, §5.2.2–4, §5.2.7 (NOTIFY), RFC 5321 §4.5.5, §6.1 (null reverse-path), RFC 3464 §2
 */
import { type FinalRecipient, type MessageEntry, notifyFor, type Recipient } from '@postbus/contracts'
import { parsePath } from '@postbus/smtp'

import type { Tracked } from '../tracking/sheet.ts'

export type ReportKind = 'failure' | 'delay' | 'success'

/** What there is to tell of this recipient now and was not told before; null: nothing, whoever asks. */
export function newsOf({ listing, status, report, delayReport }: Tracked): ReportKind | null {
  if (listing === null || listing.final.destination.kind === 'merged') return null
  switch (status?.kind) {
    case 'failed':
    case 'expired':
      return report === null ? 'failure' : null
    case 'deferred':
      return delayReport === null ? 'delay' : null
    case 'delivered':
      return report === null ? 'success' : null
    case 'relayed':
      // RFC 3461 §5.2.2: a server that takes NOTIFY reports what it does itself.
      return report === null && !status.dsn ? 'success' : null
    default:
      return null
  }
}

/** Why nobody is told of such news; null: somebody is. */
export function whyUnreported(
  news: ReportKind,
  final: Pick<FinalRecipient, 'reversePath' | 'expanded'>,
  original: Pick<Recipient, 'notify'>,
  { origin, reversePath: sender }: Pick<MessageEntry, 'origin' | 'reversePath'>,
): string | null {
  const { reversePath } = final
  // RFC 5321 §6.1: no report about a message whose reverse-path is null; it may be a report itself.
  if (reversePath === '') return 'the reverse-path is null'
  if (origin === 'report') return 'it is a report itself'
  const address = parsePath(reversePath)
  if (address === null || address === '' || address.domain === null) return 'the reverse-path is no address'
  const notify = notifyFor(original, final, sender)
  return notifyAllows(news, notify) ? null : `NOTIFY=${notify?.join(',') ?? ''}`
}

function notifyAllows(news: ReportKind, notify: Recipient['notify']): boolean {
  // RFC 3461 §4.1: without NOTIFY a failure is reported, a delay may be, a success is not.
  if (notify === undefined) return news !== 'success'
  return notify.includes(WORDS[news])
}

const WORDS = { failure: 'FAILURE', delay: 'DELAY', success: 'SUCCESS' } as const

/**
 * What an original recipient turned out to be, where that is told by itself: `expanded` into others with the sender's own
 * reverse-path (RFC 3461 §5.2.7.2 (c)); `delivered` to a list, which sends messages of its own (§5.2.7.3). Null: its one final
 * recipient says everything (§5.2.7.1).
 */
export function expansionOf(finals: readonly FinalRecipient[], sender: string): 'expanded' | 'delivered' | null {
  if (finals.some(({ expanded }) => expanded)) return 'expanded'
  return finals.length > 0 && finals.every(({ reversePath }) => reversePath !== sender) ? 'delivered' : null
}
