/** Whether another service serves, for `probe`. */
import { type Bus, BusUnavailable } from '@postbus/bus'
import type { directoryReady, mailstoreReady } from '@postbus/contracts'

/** @returns a check that throws with what the other one waits for */
export function serves(
  bus: Pick<Bus, 'request'>,
  contract: typeof directoryReady | typeof mailstoreReady,
): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    const { reasons } = await bus.request(contract, {}, { signal }).catch((cause: unknown) => {
      throw cause instanceof BusUnavailable ? new Error('does not answer', { cause }) : cause
    })
    if (reasons.length > 0) throw new Error(reasons.join('; '))
  }
}
