/** One message's life as events in the order they happened, from what custody knows of it. */
import type { LaterReport, recipientHistory, RecipientKey, RecipientState, Status, where } from '@postbus/contracts'
import type { z } from 'zod'

export type Known = z.output<typeof where.output>
export type History = z.output<typeof recipientHistory.output>

export interface LifeEvent {
  at: string
  /** Since the message was accepted. */
  afterMs: number
  what: string
  /** Where to, who said what. */
  detail?: string
  attempt?: number
  /** How long whoever did it worked on it. */
  tookMs?: number
}

export interface RecipientLife {
  n: RecipientKey
  /** As the sender wrote it. */
  original: string
  /** Where it went after aliases, lists and rewriting. */
  forwardPath: string
  state: RecipientState
  events: LifeEvent[]
  /** The reports to the sender that told of its delay and of its end. */
  reports: MessageLife[]
}

export interface MessageLife {
  queueId: string
  messageId?: string
  /** '' is the null reverse-path. */
  reversePath: string
  origin: Known['origin']
  account?: string
  size: number
  acceptedAt: string
  /** For a collector of traces, and for the logs. */
  traceId?: string
  /** Recipients the router has not decided about. */
  unrouted: string[]
  recipients: RecipientLife[]
  /** Recipients that are not shown. */
  more: number
  /** Nothing of it is open, and its spool record was given back. */
  freed?: LifeEvent
}

/** @param histories of the recipients to be shown; @param reports by queue id */
export function lifeOf(
  known: Known,
  histories: ReadonlyMap<RecipientKey, History>,
  reports: ReadonlyMap<string, MessageLife> = new Map(),
): MessageLife {
  const { queueId, messageId, reversePath, origin, account, size, acceptedAt, traceId, freedAt } = known
  const event = eventsAfter(acceptedAt)
  const recipients = known.recipients.flatMap((recipient): RecipientLife[] => {
    const { n, original, forwardPath, state, routedAt, detail } = recipient
    const history = histories.get(n)
    if (history === undefined) return []
    const own = new Set([history.delayReport, history.report, recipient.report])
    const told = [...own].map((id) => reports.get(id ?? '')).filter((report) => report !== undefined)
    const merged = detail?.startsWith('merged into') ? detail : undefined
    const events = [
      ...(routedAt === undefined ? [] : [event(routedAt, 'routed', { detail: merged })]),
      ...history.history.map((status) => ofStatus(status, event)),
      ...history.laterReports.map((later) => ofLaterReport(later, event)),
      ...told.map((report) => event(report.acceptedAt, 'reported', { detail: `in ${report.queueId}` })),
      ...(recipient.unreported === undefined
        ? []
        : [event(recipient.at, 'not reported', { detail: recipient.unreported })]),
    ]
    return [
      {
        ...{ n, forwardPath, state },
        original: known.originals[original]?.recipient.forwardPath ?? forwardPath,
        events: events.toSorted((one, other) => one.afterMs - other.afterMs),
        reports: told,
      },
    ]
  })
  return {
    ...{ queueId, reversePath, origin, size, acceptedAt },
    ...(messageId !== undefined && { messageId }),
    ...(account !== undefined && { account }),
    ...(traceId !== undefined && { traceId }),
    unrouted: known.originals.flatMap(({ recipient, routed }) => (routed ? [] : [recipient.forwardPath])),
    recipients,
    more: known.recipients.length - recipients.length,
    ...(freedAt !== undefined && { freed: event(freedAt, 'freed', {}) }),
  }
}

type Facts = { [Name in 'detail' | 'attempt' | 'tookMs']?: LifeEvent[Name] | undefined }
type MakeEvent = (at: string, what: string, facts: Facts) => LifeEvent

function eventsAfter(acceptedAt: string): MakeEvent {
  const begin = Date.parse(acceptedAt)
  return (at, what, { detail, attempt, tookMs }) => ({
    ...{ at, what, afterMs: Date.parse(at) - begin },
    ...(detail !== undefined && { detail }),
    ...(attempt !== undefined && attempt > 0 && { attempt }),
    ...(tookMs !== undefined && { tookMs }),
  })
}

const ofLaterReport = ({ at, action, reason, status, reportingMta }: LaterReport, event: MakeEvent): LifeEvent =>
  event(at, `said to be ${action}`, {
    detail: [reportingMta, reason ?? status].filter((part) => part !== undefined).join(': '),
  })

function ofStatus(status: Status, event: MakeEvent): LifeEvent {
  const { at, kind } = status
  if (status.kind === 'routed') return event(at, kind, {})
  const { attempt, tookMs } = status
  return event(at, kind, { attempt, tookMs, detail: detailOf(status) })
}

function detailOf(status: Exclude<Status, { kind: 'routed' }>): string {
  switch (status.kind) {
    case 'delivered':
      return `account ${status.account}`
    case 'relayed':
      return `${status.mxHost}: ${status.reply}`
    case 'deferred':
      return `${said(status)}; next at ${status.nextAttemptAt}`
    case 'failed':
    case 'expired':
      return said(status)
    case 'held':
    case 'discarded':
      return status.rule
    case 'released':
    case 'cancelled':
      return `by ${status.by}`
    case 'dead':
      return `${status.stream}: ${status.reason}`
  }
}

const said = ({
  mxHost,
  reply,
  reason,
  status,
}: {
  mxHost?: string | undefined
  reply?: string | undefined
  reason: string
  status: string
}) => `${mxHost === undefined ? '' : `${mxHost}: `}${reply ?? `${status} ${reason}`}`
