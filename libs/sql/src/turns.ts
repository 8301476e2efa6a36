/** Turns at a file: one holder at a time in this process, first come, first served. */
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
