/** Small helpers for asynchronous work that many ask for at once. */

/** Those who ask before a run has begun share it; a run under way is too old for them and they share the next. */
export function shared<T>(run: () => Promise<T>): () => Promise<T> {
  let waiting: Promise<T> | undefined
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    waiting ??= last.then(() => {
      waiting = undefined
      const result = run()
      last = result.catch(() => undefined)
      return result
    })
    return waiting
  }
}

/** At most `limit` at once; the others wait in order. */
export function atMost(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (work) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
