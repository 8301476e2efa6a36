import { setTimeout as pause } from 'node:timers/promises'

export interface GatherOptions<Item> {
  /** At most this many items in one flush. */
  maxItems: number
  /** At most this much in one flush, as `sizeOf` measures; a single larger item travels alone. */
  maxSize?: number
  sizeOf?: (item: Item) => number
  /** More waiting items than this are refused with BatchFull, so that a stalled disk cannot fill memory. */
  maxWaiting: number
  /** While one flush follows upon the other: so long more may come before the next. Default 0; a lone item never waits. */
  lingerMs?: number
  /** Carries what each item came from, a trace for example, to the flush it shares with others. */
  origin?: Origin
}

export interface Origin<Note = unknown> {
  /** Called where an item is added. */
  note(): Note
  /** Runs the flush of the items these notes belong to. */
  run<T>(notes: readonly Note[], flush: () => Promise<T>): Promise<T>
}

/** The flush does not keep up; the caller should slow its own caller down. */
export class BatchFull extends Error {
  override readonly name = 'BatchFull'
}

export interface Gatherer<Item, Result> {
  /** Resolves with this item's result when its flush is done; rejects when that flush failed. */
  add(item: Item): Promise<Result>
  /** Resolves when nothing is waiting or under way. */
  idle(): Promise<void>
}

const nowhere: Origin = { note: () => undefined, run: (_, flush) => flush() }

interface Waiting<Item, Result> {
  item: Item
  note: unknown
  resolve(result: Result): void
  reject(cause: unknown): void
}

/**
 * @param flush makes the items durable, all or none, and returns one result per item in the same order. A flush that
 *   throws fails exactly its own items; the next flush starts afresh.
 */
export function gather<Item, Result>(
  flush: (items: Item[]) => Promise<readonly Result[]>,
  options: GatherOptions<Item>,
): Gatherer<Item, Result> {
  const { maxItems, maxSize = Infinity, sizeOf = () => 0, maxWaiting, lingerMs = 0, origin = nowhere } = options
  const waiting: Waiting<Item, Result>[] = []
  let running: Promise<void> | undefined

  function take(): Waiting<Item, Result>[] {
    let count = 0
    let size = 0
    for (const { item } of waiting) {
      size += sizeOf(item)
      if (count === maxItems || (count > 0 && size > maxSize)) break
      count++
    }
    return waiting.splice(0, count)
  }

  async function run(): Promise<void> {
    // One turn of the event loop: items that arrive together travel together.
    await new Promise((resolve) => setImmediate(resolve))
    while (waiting.length > 0) {
      const group = take()
      try {
        const results = await origin.run(
          group.map(({ note }) => note),
          () => flush(group.map(({ item }) => item)),
        )
        for (const [index, { resolve }] of group.entries()) resolve(results[index] as Result)
      } catch (cause) {
        for (const { reject } of group) reject(cause)
      }
      if (lingerMs > 0 && waiting.length > 0 && waiting.length < maxItems) await pause(lingerMs)
    }
    running = undefined
  }

  return {
    add(item) {
      if (waiting.length >= maxWaiting) return Promise.reject(new BatchFull(`${maxWaiting} items are waiting already`))
      return new Promise((resolve, reject) => {
        waiting.push({ item, note: origin.note(), resolve, reject })
        running ??= run()
      })
    },
    async idle() {
      while (running) await running
    },
  }
}
