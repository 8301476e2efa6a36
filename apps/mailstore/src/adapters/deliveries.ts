/** Deliveries of handlers that run at the same time: one look at the keys for many, one transaction for many. */
import { gather } from '@postbus/batch'
import { batched } from '@postbus/tracing'

import type { Delivered, Delivery, DeliveryKey, KnownDelivery, MailStorage } from '../mailbox/storage.ts'
import type { NoteChanges } from './changes.ts'

const MAX_KEYS = 500
/** Of one transaction: longer ones gain nothing and hold up everybody else's. */
const MAX_DELIVERIES = 200
const MAX_BYTES = 8 * 1024 * 1024

export interface DeliveryGroups {
  known(key: DeliveryKey): Promise<KnownDelivery>
  deliver(delivery: Delivery): Promise<Delivered>
}

interface Options {
  /** No more than this many deliveries are ever under way. */
  maxInFlight: number
  noteChanges: NoteChanges
  onBatch(deliveries: number): void
}

export function deliveryGroups(storage: MailStorage, { maxInFlight, noteChanges, onBatch }: Options): DeliveryGroups {
  const known = gather<DeliveryKey, KnownDelivery>((keys) => storage.read('known', keys), {
    maxItems: MAX_KEYS,
    maxWaiting: maxInFlight,
    origin: batched('look for deliveries'),
  })
  const deliver = gather<Delivery, Delivered>(
    async (deliveries) => {
      const outcome = await storage.write('deliver', deliveries)
      if (outcome.kind === 'refused') throw new Error(outcome.reason)
      onBatch(deliveries.length)
      noteChanges(outcome.changes)
      return outcome.value
    },
    {
      maxItems: MAX_DELIVERIES,
      maxSize: MAX_BYTES,
      sizeOf: ({ content }) => (typeof content === 'number' ? 0 : content.header.length + (content.body?.length ?? 0)),
      maxWaiting: maxInFlight,
      origin: batched('append'),
    },
  )
  return { known: (key) => known.add(key), deliver: (delivery) => deliver.add(delivery) }
}
