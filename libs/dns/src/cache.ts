/** Values that are good for a while, the least recently used given up first. Bounded by number; never by trust: time decides. */
export interface Cache<T> {
  get(key: string): { value: T; leftMs: number } | undefined
  set(key: string, value: T, forMs: number): void
}

export function cache<T>({ maxEntries, now }: { maxEntries: number; now(): number }): Cache<T> {
  const entries = new Map<string, { value: T; until: number }>()
  return {
    get(key) {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      entries.delete(key)
      const leftMs = entry.until - now()
      if (leftMs <= 0) return undefined
      entries.set(key, entry)
      return { value: entry.value, leftMs }
    },
    set(key, value, forMs) {
      entries.delete(key)
      if (forMs <= 0 || maxEntries === 0) return
      entries.set(key, { value, until: now() + forMs })
      const [oldest] = entries.keys()
      if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest)
    },
  }
}
