/** A wait that ends in time, and leaves neither timer nor listener behind: a session waits once for each command. */
export class TimeLimit extends Error {
  override readonly name = 'TimeLimit'
}

/** @param ends the wait ends with their reason, too @throws TimeLimit; the reason of one of `ends` */
export async function within<T>(
  ms: number,
  ends: readonly AbortSignal[],
  wait: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(new TimeLimit(`${ms} ms`)), ms)
  const end = (): void => limit.abort(ends.find(({ aborted }) => aborted)?.reason)
  for (const signal of ends) signal.addEventListener('abort', end, { once: true })
  if (ends.some(({ aborted }) => aborted)) end()
  try {
    return await wait(limit.signal)
  } finally {
    clearTimeout(timer)
    for (const signal of ends) signal.removeEventListener('abort', end)
  }
}
