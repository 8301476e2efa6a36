/** One open outgoing recipient, in the words of the contract. */
import type { QueuedRecipient } from '@postbus/contracts'

import type { QueueEntry } from '../tracking/books.ts'
import type { RecipientStatus } from '../tracking/order.ts'
import { isOpen, stateOf } from '../tracking/sheet.ts'

const MAX_REASON = 2000

/** Null: it is not open, or not outgoing. */
export function describeEntry({ entry, tracked }: QueueEntry): QueuedRecipient | null {
  const { listing, status, n } = tracked
  const final = listing?.final
  const state = stateOf(tracked)
  if (listing === null || final?.destination.kind !== 'remote' || !isOpen(tracked) || !isQueueState(state)) return null
  const { site, shard, expiresAt } = final.destination
  const { queueId, account, messageId, size, acceptedAt } = entry
  return {
    ...{ queueId, n, site, shard, reversePath: final.reversePath, forwardPath: final.forwardPath },
    ...(account !== undefined && { account }),
    ...(messageId !== undefined && { messageId }),
    ...{ size, acceptedAt, expiresAt, state },
    attempt: status?.attempt ?? 0,
    at: status?.at ?? listing.at,
    ...(status && said(status)),
  }
}

function said(
  status: RecipientStatus,
): Pick<QueuedRecipient, 'nextAttemptAt' | 'status' | 'reason' | 'mxHost' | 'via'> {
  switch (status.kind) {
    case 'deferred': {
      const { nextAttemptAt, status: code, reply, reason, mxHost, via } = status
      return {
        ...{ nextAttemptAt, status: code, reason: (reply ?? reason).slice(0, MAX_REASON) },
        ...(mxHost !== undefined && { mxHost }),
        ...(via !== undefined && { via }),
      }
    }
    case 'held':
      return { reason: status.rule }
    case 'released':
      return { reason: `released by ${status.by}`, ...(status.via !== undefined && { via: status.via }) }
    case 'dead':
      return { reason: `${status.stream}: ${status.reason}` }
    default:
      return {}
  }
}

const isQueueState = (state: string): state is QueuedRecipient['state'] =>
  state === 'routed' || state === 'deferred' || state === 'held' || state === 'dead'
