/**
 * What a report that came in says of recipients of one message of ours.
 *
 * Anybody can write a report. So it is believed only about a recipient that was to go out, under the address it went to or
 * was written to, and only when the report came to the reverse-path that recipient's mail carried. Even then it is a note:
 * the recipient stays what it is.
 *
 * STANDARDS  RFC 3464 §2.3, §4 (forged reports); RFC 5321 §4.5.5 (where reports go)
 */
import { EnhancedStatus, type LaterReport, type MailAccepted, type Recipient } from '@postbus/contracts'
import type { ReceivedReport } from '@postbus/dsn'
import { normalizeAddress } from '@postbus/smtp'

import type { MessagePage, Note } from '../tracking/books.ts'
import type { Tracked } from '../tracking/sheet.ts'

type About = ReceivedReport['status']['recipients'][number]
type Action = LaterReport['action']

/** Of a report's recipients no more are looked at. */
const MAX_RECIPIENTS = 1000
const MAX_REASON = 2000
const MAX_MTA = 255

/** @param carrier the accepted message the report is in */
export function notesOf({ status }: ReceivedReport, carrier: MailAccepted, page: MessagePage): Note[] {
  // RFC 3464 §2.2.1: a report about another message with the same Message-ID.
  if (status.envid !== undefined && page.entry.envid !== undefined && status.envid !== page.entry.envid) return []
  const cameTo = new Set(carrier.envelope.recipients.map(({ forwardPath }) => comparable(forwardPath)))
  const byAddress = new Map<string, Tracked[]>()
  for (const tracked of page.recipients) {
    const final = tracked.listing?.final
    if (final?.destination.kind !== 'remote' || !cameTo.has(comparable(final.reversePath))) continue
    // Members of a list: no next hop hears what they were expanded from.
    const named = final.reversePath === page.entry.reversePath ? (tracked.listing?.original ?? -1) : -1
    for (const address of addressesOf(final.forwardPath, page.originals[named]?.recipient ?? null)) {
      byAddress.set(address, [...(byAddress.get(address) ?? []), tracked])
    }
  }

  const notes = new Map<string, Note>()
  for (const about of status.recipients.slice(0, MAX_RECIPIENTS)) {
    const action = about.action ?? actionOf(about.status)
    if (action === null) continue
    for (const { n } of whoIsMeant(about, byAddress)) {
      // One report says one thing of a recipient; of several the first counts.
      if (notes.has(n)) continue
      notes.set(n, { queueId: page.queueId, n, later: laterReport(about, action, carrier, status.reportingMta?.value) })
    }
  }
  return [...notes.values()]
}

/**
 * The original recipient says who of ours is meant: behind a forwarding next hop the final one may be somebody else, and even another
 * recipient of ours. Where one original address stands for several of ours, only the final one can tell.
 */
function whoIsMeant(
  { finalRecipient, originalRecipient }: About,
  byAddress: ReadonlyMap<string, Tracked[]>,
): readonly Tracked[] {
  const at = (address: About['finalRecipient']): readonly Tracked[] =>
    (address && byAddress.get(comparable(address.value))) ?? []
  const byOriginal = at(originalRecipient)
  const byFinal = at(finalRecipient)
  const both = byOriginal.filter((tracked) => byFinal.includes(tracked))
  if (both.length > 0) return both
  const either = byOriginal.length > 0 ? byOriginal : byFinal
  const places = new Set(either.map(({ listing }) => listing?.final.forwardPath))
  return places.size === 1 ? either : []
}

/** Where it went, and what the next hop was told it was called: ORCPT, or nothing. */
function addressesOf(forwardPath: string, original: Recipient | null): Set<string> {
  const addresses = [forwardPath, original?.forwardPath, original?.orcpt?.replace(/^[^;]*;/, '')]
  return new Set(addresses.flatMap((address) => (address === undefined ? [] : [comparable(address)])))
}

const comparable = (address: string): string => normalizeAddress(address) ?? address.toLowerCase()

/** RFC 3464 §2.3.3 asks for an action, and some leave it out. */
function actionOf(status: string | undefined): Action | null {
  switch (status?.[0]) {
    case '5':
      return 'failed'
    case '4':
      return 'delayed'
    default:
      return null
  }
}

function laterReport(about: About, action: Action, carrier: MailAccepted, mta: string | undefined): LaterReport {
  const status = EnhancedStatus.safeParse(about.status)
  const reason = about.diagnosticCode?.value
  return {
    ...{ report: carrier.queueId, at: carrier.acceptedAt, action },
    ...(status.success && { status: status.data }),
    ...(reason !== undefined && { reason: reason.slice(0, MAX_REASON) }),
    ...(mta !== undefined && { reportingMta: mta.slice(0, MAX_MTA) }),
  }
}
