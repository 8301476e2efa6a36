/** custody.where: the page of one message as operators read it; from the spool record where the books know nothing yet. */
import { RequestRefused } from '@postbus/bus'
import { entryOf, type MailAccepted, type QueueId, type where } from '@postbus/contracts'
import type { z } from 'zod'

import { newsOf, whyUnreported } from '../report/should-report.ts'
import type { Books, MessagePage } from '../tracking/books.ts'
import type { RecipientStatus } from '../tracking/order.ts'
import { stateOf, type Tracked } from '../tracking/sheet.ts'

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
      })),
      recipients: page?.recipients ?? [],
      freedAt: page?.freedAt ?? null,
    })
  }
}

function answerFrom({
  queueId,
  entry,
  originals,
  recipients,
  freedAt,
}: Omit<MessagePage, 'phase' | 'incarnation'>): Answer {
  const { origin, acceptedAt, reversePath, size, messageId } = entry
  const byKey = new Map(recipients.map((tracked) => [tracked.n, tracked]))
  return {
    ...{ queueId, origin, acceptedAt, reversePath, size, messageId },
    originals: originals.flatMap(({ recipient, routed }) => (recipient ? [{ recipient, routed }] : [])),
    recipients: recipients.flatMap((tracked) => describe(tracked, byKey, { originals, entry })),
    ...(freedAt && { freedAt: freedAt.toISOString() }),
  }
}

function describe(
  tracked: Tracked,
  all: ReadonlyMap<string, Tracked>,
  { originals, entry }: Pick<MessagePage, 'originals' | 'entry'>,
): Answer['recipients'] {
  const { n, listing, status } = tracked
  if (listing === null) return []
  const { forwardPath, destination } = listing.final
  const common = { n, original: listing.original, forwardPath }
  const standing = (known: RecipientStatus | null) => ({
    attempt: known?.attempt ?? 0,
    incarnation: known?.incarnation ?? listing.incarnation,
    at: known?.at ?? listing.at,
  })
  if (destination.kind === 'merged') {
    const first = all.get(destination.into) ?? tracked
    return [{ ...common, ...standing(first.status), state: stateOf(first), detail: `merged into ${destination.into}` }]
  }
  return [
    {
      ...common,
      ...standing(status),
      state: stateOf(tracked),
      detail: detailOf(status)?.slice(0, MAX_DETAIL),
      ...reportOf(tracked, originals, entry),
      ...(status && 'status' in status && { status: status.status }),
      ...(status?.kind === 'deferred' && { nextAttemptAt: status.nextAttemptAt }),
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
  const unreported = whyUnreported(news, tracked.listing.final.reversePath, original, entry)
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
