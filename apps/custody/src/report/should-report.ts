/**
 * Whether the sender must be told what became of a recipient.
 *
 * STANDARDS  RFC 3461 §4.1, §5.2.2–4, §5.2.7.3 (NOTIFY), RFC 5321 §4.5.5, §6.1 (null reverse-path), RFC 3464 §2
 */
import type { MessageEntry, Recipient } from '@postbus/contracts'
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
  reversePath: string,
  original: Recipient,
  { origin, reversePath: sender }: Pick<MessageEntry, 'origin' | 'reversePath'>,
): string | null {
  // RFC 5321 §6.1: no report about a message whose reverse-path is null; it may be a report itself.
  if (reversePath === '') return 'the reverse-path is null'
  if (origin === 'report') return 'it is a report itself'
  const address = parsePath(reversePath)
  if (address === null || address === '' || address.domain === null) return 'the reverse-path is no address'
  // A list's mail is a message of its own; what the author asked for ends at the list — RFC 3461 §5.2.7.3.
  const notify = reversePath === sender ? original.notify : undefined
  return notifyAllows(news, notify) ? null : `NOTIFY=${notify?.join(',') ?? ''}`
}

function notifyAllows(news: ReportKind, notify: Recipient['notify']): boolean {
  // RFC 3461 §4.1: without NOTIFY a failure is reported, a delay may be, a success is not.
  if (notify === undefined) return news !== 'success'
  return notify.includes(WORDS[news])
}

const WORDS = { failure: 'FAILURE', delay: 'DELAY', success: 'SUCCESS' } as const
