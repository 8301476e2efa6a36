/** Keepers take turns, also those of several processes: two custody replicas may both believe for a moment that they lead. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import type { Layout } from './layout.ts'
import { type Lock, openLock } from './lock.ts'
import { atMost } from '@postbus/batch'

const TRY_EVERY_MS = 10
const GIVE_UP_AFTER_MS = 30_000

export class Turns {
  readonly #lock: Lock
  readonly #last: string
  readonly #keeper: string
  readonly #oneAtATime = atMost(1)

  constructor(layout: Layout, keeper: string) {
    this.#lock = openLock(join(layout.root, 'keeper.lock'))
    this.#last = join(layout.root, 'keeper.last')
    this.#keeper = keeper
  }

  /**
   * Nobody else works while `work` runs.
   * @param others called first when another keeper had a turn since our last: what we remember may be old
   */
  take<T>(work: () => Promise<T>, others: () => Promise<void>): Promise<T> {
    return this.#oneAtATime(async () => {
      await this.#wait()
      try {
        const last = await readFile(this.#last, 'utf8').catch(() => '')
        if (last !== this.#keeper) {
          await others()
          await writeFile(this.#last, this.#keeper)
        }
        return await work()
      } finally {
        this.#lock.give()
      }
    })
  }

  async close(): Promise<void> {
    await this.#oneAtATime(async () => this.#lock.close())
  }

  async #wait(): Promise<void> {
    const begun = performance.now()
    while (!this.#lock.take()) {
      if (performance.now() - begun > GIVE_UP_AFTER_MS) throw new Error('another keeper holds the spool')
      await wait(TRY_EVERY_MS)
    }
  }
}
