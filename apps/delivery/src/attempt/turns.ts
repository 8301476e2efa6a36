/**
 * One at a time for each task, in the order they came: an attempt, its second copy, an operator's act. What one of them reads
 * in the ledger stays true until its turn is over.
 *
 * Whoever only waits in its turn, for room at its site, gives way to a claim and comes again after it.
 */
export interface Turn {
  /** Aborts with GaveWay when somebody claims the task. */
  readonly claimed: AbortSignal
}

/** The turn was given up to a claim before anything was done. */
export class GaveWay extends Error {
  override readonly name = 'GaveWay'
}

interface Place {
  claimed: AbortController
  over: Promise<void>
  end(): void
}

export class Turns {
  /** Those whose turn it is, first, and those who wait for theirs. */
  readonly #places = new Map<string, Place[]>()

  isTaken(key: string): boolean {
    return this.#places.has(key)
  }

  /** @throws what `work` throws */
  async take<Result>(key: string, work: (turn: Turn) => Promise<Result>): Promise<Result> {
    const { ahead, place } = this.#join(key)
    await ahead?.over
    return this.#run(place, work)
  }

  /** Like `take`, before all who can still give way. Null: the task was not to be had within that time, and nothing was done. */
  async claim<Result>(key: string, withinMs: number, work: () => Promise<Result>): Promise<Result | null> {
    for (const { claimed } of this.#places.get(key) ?? []) claimed.abort(new GaveWay('an operator acts on it'))
    const { ahead, place } = this.#join(key)
    if (ahead && !(await within(withinMs, ahead.over))) {
      void ahead.over.then(place.end)
      return null
    }
    return this.#run(place, work)
  }

  #join(key: string): { ahead: Place | undefined; place: Place } {
    const places = this.#places.get(key) ?? []
    const ahead = places.at(-1)
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const place: Place = {
      claimed: new AbortController(),
      over,
      end: () => {
        places.splice(places.indexOf(place), 1)
        if (places.length === 0) this.#places.delete(key)
        resolve()
      },
    }
    places.push(place)
    this.#places.set(key, places)
    return { ahead, place }
  }

  async #run<Result>({ claimed, end }: Place, work: (turn: Turn) => Promise<Result>): Promise<Result> {
    try {
      return await work({ claimed: claimed.signal })
    } finally {
      end()
    }
  }
}

async function within(ms: number, event: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), ms)
  try {
    return await Promise.race([event.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
