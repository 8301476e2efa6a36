/**
 * A plan as libs/dsn wants it told, and as the router gets it.
 *
 * STANDARDS  RFC 3461 §5.2.7 (aliases and lists, what a list's owner may not see), §6; RFC 3464 §2.3; RFC 8689 §5; RFC 5321 §6.1
 */
import { MailAccepted } from '@postbus/contracts'
import type { Action, RecipientReport, Report, ReportFacts } from '@postbus/dsn'
import { normalizeAddress } from '@postbus/smtp'

import { isAttempt } from '../tracking/order.ts'
import type { ReportedExpansion, ReportedRecipient, ReportPlan } from './plan.ts'

export function factsOf(plan: ReportPlan): ReportFacts {
  const { queueId, entry, to, from, reportingMta, plannedAt } = plan
  const isSender = to === entry.reversePath
  return {
    ...{ queueId, from, to, reportingMta, messageId: messageIdOf(plan) },
    date: new Date(plannedAt),
    original: {
      queueId: entry.queueId,
      arrivedAt: new Date(entry.acceptedAt),
      size: entry.size,
      body: entry.body,
      smtputf8: entry.smtputf8,
      messageId: entry.messageId,
      // The author's parameters are nothing to the owner of a list.
      ...(isSender && { envid: entry.envid, ret: entry.ret }),
    },
    recipients: [
      ...(plan.expansions ?? []).map(expansionReport),
      ...plan.recipients.map((recipient) => recipientReport(recipient, isSender)),
    ],
  }
}

/** The report as an accepted message: from the null reverse-path, so that nobody ever answers it — RFC 5321 §6.1, §4.5.5. */
export function acceptedReport(plan: ReportPlan, { body, smtputf8 }: Report, size: number): MailAccepted {
  const { queueId, entry, to, plannedAt } = plan
  return MailAccepted.schema.parse({
    ...{ queueId, size, body, smtputf8 },
    incarnation: 0,
    acceptedAt: plannedAt,
    origin: 'report',
    // RFC 8689 §5: what had to travel protected is not returned in the clear.
    requireTls: entry.requireTls,
    // RFC 3461 §6.1: NOTIFY=NEVER, so that a report is never reported on.
    envelope: {
      reversePath: '',
      recipients: [{ forwardPath: to, notify: ['NEVER'] }],
      ...{ body, smtputf8, requireTls: entry.requireTls },
    },
    messageId: messageIdOf(plan),
  })
}

/** Who wrote to an alias does not know the address behind it. */
function reasonOf(reason: string, finalRecipient: string, written: string): string {
  const isSame = normalizeAddress(finalRecipient) === normalizeAddress(written)
  return isSame ? reason : `${reason} (The message was addressed to <${written}>.)`
}

const messageIdOf = ({ queueId, reportingMta }: ReportPlan): string => `<${queueId}@${reportingMta}>`

/** Only the sender hears of it, so it names the address as he wrote it, and nobody behind it. */
function expansionReport({ original, action }: ReportedExpansion): RecipientReport {
  const { forwardPath: finalRecipient, orcpt } = original
  const reason =
    action === 'expanded'
      ? 'The address stands for several recipients, and the message was sent on to all of them.'
      : 'The list took the message and sends it to its members.'
  return { finalRecipient, orcpt, action, status: '2.0.0', reason }
}

function recipientReport({ original, tracked }: ReportedRecipient, isSender: boolean): RecipientReport {
  const { status, listing } = tracked
  const finalRecipient = listing?.final.forwardPath ?? original.forwardPath
  const common = { finalRecipient, ...(isSender && { orcpt: original.orcpt }) }
  const attempted = status !== null && isAttempt(status) ? { lastAttemptAt: new Date(status.at) } : {}
  switch (status?.kind) {
    case 'failed':
    case 'expired':
    case 'deferred': {
      const { status: code, reply, mxHost } = status
      const reason = reasonOf(status.reason, finalRecipient, original.forwardPath)
      const action: Action = status.kind === 'deferred' ? 'delayed' : 'failed'
      const destination = listing?.final.destination
      const retries = action === 'delayed' && destination?.kind === 'remote'
      return {
        ...{ ...common, ...attempted, action, status: code, reason, reply, mxHost },
        ...(retries && { willRetryUntil: new Date(destination.expiresAt) }),
      }
    }
    case 'relayed': {
      const { mxHost, reply } = status
      const reason = 'The next server took it over.'
      return { ...common, ...attempted, action: 'relayed', status: '2.0.0', reason, reply, mxHost }
    }
    case 'delivered':
      return { ...common, action: 'delivered', status: '2.0.0', reason: 'It is in the mailbox.' }
    default:
      throw new Error(`there is nothing to report of ${status?.kind ?? 'no status'}`)
  }
}
