/**
 * One task of mail.local: a message for one account. It enters the account once, or is refused for a reason that will not
 * change by waiting; everything we do not know is thrown.
 *
 * Over quota is a permanent failure (5.2.2): the queue has no schedule on which a full mailbox could be tried again, and the
 * sender learns at once instead of after days. Whoever wants to wait has the router hold the recipient.
 *
 * STANDARDS  RFC 5321 §4.4 (Return-Path at final delivery); RFC 3463 §3.2, §3.3 (mailbox full, bad destination)
 */
import type { AccountId, MailLocal, QueueId } from '@postbus/contracts'

import type { StoredContent } from './content.ts'
import type { Delivered, Delivery, DeliveryKey, KnownDelivery } from './storage.ts'

export interface DeliverPorts {
  known(key: DeliveryKey): Promise<KnownDelivery>
  /** Null only when the directory says that there is no such account. */
  describeAccount(account: AccountId): Promise<{ address: string; quotaBytes: number | null } | null>
  /** Holds the content of an accepted message, ready to be stored, until released. Shared by all who ask at the same time. */
  content(queueId: QueueId): Promise<HeldForDelivery>
  deliver(delivery: Delivery): Promise<Delivered>
  now(): number
}

export interface HeldForDelivery {
  content: StoredContent
  /** What became of it for this holder: the last one gone, bytes adopted for nobody are given back. */
  release(fate: 'stored' | 'notStored' | 'unknown'): Promise<void>
}

export type LocalOutcome =
  | { kind: 'delivered'; repeat: boolean }
  | { kind: 'failed'; status: `5.${number}.${number}`; reason: string; rule: string }

export async function deliverLocal(task: MailLocal, ports: DeliverPorts): Promise<LocalOutcome> {
  const { queueId, account } = task
  const known = await ports.known({ queueId, account })
  if (known.deliveredAt !== null) return { kind: 'delivered', repeat: true }

  const owner = await ports.describeAccount(account)
  if (owner === null) {
    return { kind: 'failed', status: '5.1.1', reason: 'The account was removed', rule: 'account-removed' }
  }
  const { quotaBytes } = owner
  const delivery = { queueId, account, quotaBytes, at: ports.now(), prefix: deliveryFields(task, owner.address) }

  if (known.content !== null) {
    const delivered = await ports.deliver({ ...delivery, content: known.content.content })
    if (delivered.kind !== 'contentGone') return outcomeOf(delivered, quotaBytes)
  }
  const held = await ports.content(queueId)
  let fate: 'stored' | 'notStored' | 'unknown' = 'unknown'
  try {
    const delivered = await ports.deliver({ ...delivery, content: held.content })
    fate = delivered.kind === 'delivered' && delivered.contentUsed ? 'stored' : 'notStored'
    return outcomeOf(delivered, quotaBytes)
  } finally {
    await held.release(fate)
  }
}

/**
 * What goes in front of the message. Its own bytes stay as accepted, a Return-Path somebody else left in them included: a
 * signature may cover it, and ours is the first one, the one RFC 5321 §4.4 has readers look at.
 */
export function deliveryFields({ reversePath }: Pick<MailLocal, 'reversePath'>, address: string): Uint8Array {
  return new TextEncoder().encode(`Return-Path: <${reversePath}>\r\nDelivered-To: ${address}\r\n`)
}

function outcomeOf(delivered: Delivered, quotaBytes: number | null): LocalOutcome {
  switch (delivered.kind) {
    case 'delivered':
    case 'repeat':
      return { kind: 'delivered', repeat: delivered.kind === 'repeat' }
    case 'overQuota':
      return {
        kind: 'failed',
        status: '5.2.2',
        reason: `Mailbox full: ${delivered.usedBytes} of ${quotaBytes} octets are in use`,
        rule: 'quota',
      }
    case 'contentGone':
      throw new Error('the storage does not know the content it was given')
  }
}
