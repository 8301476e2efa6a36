/** At most so many at once; the others wait in order. */
export interface Semaphore {
  run<T>(work: () => Promise<T>): Promise<T>
  acquire(): Promise<void>
  release(): void
  readonly waiting: number
}

/** The front of the queue is dropped in blocks: shift() of a long array copies it each time. */
const BLOCK = 1024

export function semaphore(places: number): Semaphore {
  let free = places
  let head = 0
  const queue: (() => void)[] = []

  async function acquire(): Promise<void> {
    if (free > 0) free--
    else await new Promise<void>((resolve) => queue.push(resolve))
  }

  function release(): void {
    const next = queue[head]
    if (!next) {
      free++
      return
    }
    if (++head === BLOCK) {
      queue.splice(0, head)
      head = 0
    }
    next()
  }

  return {
    acquire,
    release,
    async run(work) {
      await acquire()
      try {
        return await work()
      } finally {
        release()
      }
    },
    get waiting() {
      return queue.length - head
    },
  }
}
