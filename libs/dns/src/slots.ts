/** So many at once, so many more waiting in turn, and no further. */
import { DnsUnavailable } from './errors.ts'

/** @returns runs what it is given when a slot is free. It throws DnsUnavailable when too many wait. */
export function slots(atOnce: number, waitingAtMost: number): <T>(work: () => Promise<T>) => Promise<T> {
  let taken = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (taken >= atOnce) {
      if (waiting.length >= waitingAtMost) throw new DnsUnavailable('too many questions at once')
      // Whoever is done hands its slot over: `taken` stays.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else taken++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else taken--
    }
  }
}
