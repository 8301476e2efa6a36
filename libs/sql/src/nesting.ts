/** A transaction inside a transaction of the same database would wait for itself for ever: it is found out and refused. */
import { AsyncLocalStorage } from 'node:async_hooks'

export class Nesting {
  readonly #name: string
  readonly #inside = new AsyncLocalStorage<{ running: boolean }>()

  /** @param name of the database, for the message */
  constructor(name: string) {
    this.#name = name
  }

  refuse(): void {
    if (this.#inside.getStore()?.running) throw new Error(`${this.#name}: a transaction inside a transaction`)
  }

  /** What `work` started and did not wait for is outside once `work` is done. */
  async run<R>(work: () => Promise<R>): Promise<R> {
    const mark = { running: true }
    try {
      return await this.#inside.run(mark, work)
    } finally {
      mark.running = false
    }
  }
}
