/** delivery.replica → who is alive; and what this replica says of itself. */
import type { Bus } from '@postbus/bus'
import { DeliveryReplica } from '@postbus/contracts'

import type { Replicas } from '../lanes/replicas.ts'

/** Says that this replica is there, again and again, and hears the others. The result says that it leaves. */
export function makeKnown(
  bus: Pick<Bus, 'hint' | 'listen'>,
  own: string,
  replicas: Pick<Replicas, 'heard' | 'forget'>,
  everyMs: number,
): () => Promise<void> {
  const say = (leaving: boolean): void => bus.hint(DeliveryReplica, { replica: own, leaving })
  const listening = bus.listen(DeliveryReplica, (hint) => {
    // A newcomer need not wait for the next time.
    if (replicas.heard(hint)) say(false)
  })
  const timer = setInterval(() => {
    say(false)
    replicas.forget()
  }, everyMs)
  say(false)
  return async () => {
    clearInterval(timer)
    await listening.stop()
    say(true)
  }
}
