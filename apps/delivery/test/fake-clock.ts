/** A clock that a test moves. What is due runs in its order, and so do the promises it settles, before the next moment comes. */
import type { Clock } from '../src/lanes/clock.ts'

export interface FakeClock extends Clock {
  pass(ms: number): Promise<void>
  sleep(ms: number): Promise<void>
}

export function fakeClock(): FakeClock {
  const began = Date.UTC(2026, 0, 5, 10)
  const due = new Map<number, Set<() => void>>()
  let time = 0
  const after = (ms: number, action: () => void): (() => void) => {
    const at = time + Math.max(0, ms)
    const actions = due.get(at) ?? new Set()
    due.set(at, actions)
    // Each call is its own, even of the same function.
    const call = (): void => action()
    actions.add(call)
    return () => actions.delete(call)
  }
  return {
    now: () => time,
    dateIn: (ms) => new Date(began + time + ms),
    after,
    sleep: (ms) => new Promise((resolve) => void after(ms, resolve)),
    async pass(ms) {
      const end = time + ms
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve))
        const next = Math.min(...due.keys())
        if (next > end) break
        time = next
        const actions = due.get(next)
        due.delete(next)
        for (const action of actions ?? []) {
          // Taken back by one before it.
          if (actions?.has(action)) action()
        }
      }
      time = end
    },
  }
}
