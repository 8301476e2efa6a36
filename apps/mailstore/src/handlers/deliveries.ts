/** mailstore.deliveries: what the delivery keys say, for custody. */
import type { Bus, Stoppable } from '@postbus/bus'
import { findDeliveries } from '@postbus/contracts'

import type { MailStorage } from '../mailbox/storage.ts'

export function answerDeliveries(bus: Pick<Bus, 'answer'>, storage: Pick<MailStorage, 'read'>): Promise<Stoppable> {
  return bus.answer(findDeliveries, async ({ keys }) => {
    const known = await storage.read('known', keys)
    return {
      deliveredAt: known.map(({ deliveredAt }) => (deliveredAt === null ? null : new Date(deliveredAt).toISOString())),
    }
  })
}
