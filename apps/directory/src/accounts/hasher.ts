/** Hashing a bounded number of passwords at once: each takes tens of megabytes, and logins come in bursts. */

/** More logins wait already than will be answered in time. */
export class HasherBusy extends Error {
  override readonly name = 'HasherBusy'
}

export interface Hasher {
  /** Runs `work` when its turn comes. @throws HasherBusy at once when too many wait. */
  run<R>(work: () => Promise<R>): Promise<R>
  readonly waiting: number
}

export function boundedHasher({ concurrency, maxWaiting }: { concurrency: number; maxWaiting: number }): Hasher {
  const queue: (() => void)[] = []
  let running = 0
  return {
    get waiting() {
      return queue.length
    },
    async run(work) {
      if (running >= concurrency) {
        if (queue.length >= maxWaiting) throw new HasherBusy('too many logins at once')
        // Whoever finishes hands its place over, so nobody who comes later can take it.
        await new Promise<void>((resolve) => queue.push(resolve))
      } else running++
      try {
        return await work()
      } finally {
        const next = queue.shift()
        if (next === undefined) running--
        else next()
      }
    },
  }
}
