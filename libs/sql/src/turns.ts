/** Turns at a database: one holder at a time in this process, first come, first served. */
const lines = new Map<string, Promise<void>>()

/** Waits for everybody who asked for `key` before. The returned function gives the turn away. */
export async function takeTurn(key: string): Promise<() => void> {
  const before = lines.get(key)
  const { promise, resolve } = Promise.withResolvers<void>()
  lines.set(key, promise)
  await before
  return () => {
    // The last in line leaves nothing behind.
    if (lines.get(key) === promise) lines.delete(key)
    resolve()
  }
}

/** A turn at each of `keys`. Everybody takes them in the same order, so nobody waits in a circle. */
export async function takeTurns(keys: readonly string[]): Promise<() => void> {
  const done: (() => void)[] = []
  for (const key of new Set([...keys].sort())) done.push(await takeTurn(key))
  return () => done.forEach((giveAway) => giveAway())
}
