/** custody.where: the page of one message as operators read it; from the spool record where the books know nothing yet. */
import { RequestRefused } from '@postbus/bus'
import {
  entryOf,
  type LaterReport,
  type MailAccepted,
  type QueueId,
  type RecipientKey,
  type where,
} from '@postbus/contracts'
import type { z } from 'zod'

import { newsOf, whyUnreported } from '../report/should-report.ts'
import type { Books, MessagePage } from '../tracking/books.ts'
import type { RecipientStatus } from '../tracking/order.ts'
import { stateOf, type Tracked, withFateOf } from '../tracking/sheet.ts'

type Answer = z.input<typeof where.output>

export interface WherePorts {
  find: Books['find']
  /** The event in the spool record; null when there is none. */
  record(queueId: QueueId): Promise<MailAccepted | null>
}

const MAX_DETAIL = 2000

export function onWhere({ find, record }: WherePorts) {
  return async ({ queueId }: z.output<typeof where.input>): Promise<Answer> => {
    const page = await find(queueId)
    if (page && page.originals.every(({ recipient }) => recipient !== null)) return answerFrom(page)
    const accepted = await record(queueId)
    if (accepted === null) throw new RequestRefused('noSuchMessage', 'nothing is known of this queue id')
    return answerFrom({
      queueId,
      entry: entryOf(accepted),
      originals: accepted.envelope.recipients.map((recipient, index) => ({
        recipient,
        routed: page?.originals[index]?.routed ?? false,
        report: page?.originals[index]?.report ?? null,
      })),
      recipients: page?.recipients ?? [],
      laterReports: page?.laterReports ?? new Map<RecipientKey, LaterReport[]>(),
      freedAt: page?.freedAt ?? null,
    })
  }
}

function answerFrom(page: Omit<MessagePage, 'phase' | 'incarnation'>): Answer {
  const { queueId, entry, originals, recipients, freedAt } = page
  const { origin, acceptedAt, reversePath, size, messageId, account, traceId } = entry
  const byKey = new Map(recipients.map((tracked) => [tracked.n, tracked]))
  return {
    ...{ queueId, origin, acceptedAt, reversePath, size, messageId, account, traceId },
    originals: originals.flatMap(({ recipient, routed, report }) =>
      recipient ? [{ recipient, routed, ...(report !== null && { report }) }] : [],
    ),
    recipients: recipients.flatMap((tracked) => describe(tracked, byKey, page)),
    ...(freedAt && { freedAt: freedAt.toISOString() }),
  }
}

function describe(
  tracked: Tracked,
  all: ReadonlyMap<string, Tracked>,
  page: Pick<MessagePage, 'originals' | 'entry' | 'laterReports'>,
): Answer['recipients'] {
  const { n, listing } = tracked
  if (listing === null) return []
  const { forwardPath, destination } = listing.final
  const into = destination.kind === 'merged' ? destination.into : null
  const first = into === null ? undefined : all.get(into)
  const told = first ? withFateOf(tracked, first) : tracked
  const { status } = told
  const later = page.laterReports.get(into ?? n)
  return [
    {
      ...{ n, original: listing.original, forwardPath, state: stateOf(told) },
      attempt: status?.attempt ?? 0,
      incarnation: status?.incarnation ?? listing.incarnation,
      at: status?.at ?? listing.at,
      routedAt: listing.at,
      detail: into === null ? detailOf(status)?.slice(0, MAX_DETAIL) : `merged into ${into}`,
      ...reportOf(told, page.originals, page.entry),
      ...(status && 'status' in status && { status: status.status }),
      ...(status?.kind === 'deferred' && { nextAttemptAt: status.nextAttemptAt }),
      ...(later && { laterReports: later }),
    },
  ]
}

/** Who was told of a failure; or why nobody was, and will not be. */
function reportOf(
  tracked: Tracked,
  originals: MessagePage['originals'],
  entry: MessagePage['entry'],
): Pick<Answer['recipients'][number], 'report' | 'unreported'> {
  const report = tracked.report ?? tracked.delayReport
  if (report !== null) return { report }
  const news = newsOf(tracked)
  const original = tracked.listing && originals[tracked.listing.original]?.recipient
  if (news !== 'failure' || !tracked.listing || !original) return {}
  const unreported = whyUnreported(news, tracked.listing.final, original, entry)
  return unreported === null ? {} : { unreported }
}

function detailOf(status: RecipientStatus | null): string | undefined {
  switch (status?.kind) {
    case undefined:
      return undefined
    case 'delivered':
      return `account ${status.account}`
    case 'relayed':
      return `${status.mxHost}: ${status.reply}`
    case 'deferred':
    case 'failed':
    case 'expired':
      return status.reply ?? status.reason
    case 'held':
    case 'discarded':
      return status.rule
    case 'released':
    case 'cancelled':
      return status.by
    case 'dead':
      return `${status.stream}: ${status.reason}`
  }
}
