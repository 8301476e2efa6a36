/**
 * Flushes the write-ahead log beside the event loop. With `synchronous = NORMAL` a commit only writes to the log: the file stays
 * whole whatever happens, but the last commits may go with the power. The flush that SQLite would make in the commit, while everybody
 * waits, is made here after it: one for all commits that were written when it began.
 *
 * After a flush that failed nobody knows what of the log is on disk, and another one does not tell: the kernel says it once and may
 * have dropped what it could not write. Then the database copies the log into its file, which writes everything anew.
 *
 * Sources: https://www.sqlite.org/wal.html §3.3, https://www.sqlite.org/pragma.html#pragma_synchronous
 */
import { closeSync, existsSync, fdatasync, openSync } from 'node:fs'
import { promisify } from 'node:util'

import { StorageFailed } from '../errors.ts'

export type Sync = (descriptor: number) => Promise<void>

export class LogFlush {
  readonly #path: string
  readonly #sync: Sync
  /** Opened at the first flush, when the log is there for certain, and it stays while the database is open. */
  #descriptor: number | null = null
  #running: Promise<void> | null = null
  /** It has not begun. */
  #next: Promise<void> | null = null
  #unsure = false

  constructor(database: string, sync: Sync = promisify(fdatasync)) {
    this.#path = `${database}-wal`
    this.#sync = sync
    // A process that died in between has left what it had written and not flushed.
    if (existsSync(this.#path)) void this.flush().catch(() => {})
  }

  /** Resolves when all that was written to the log before is on disk. @throws StorageFailed */
  flush(): Promise<void> {
    return (this.#next ??= this.#follow())
  }

  /** Of what was written before; null: it is on disk. */
  get pending(): Promise<void> | null {
    return this.#next ?? this.#running
  }

  /** A flush failed; none is made until `restored`. */
  get unsure(): boolean {
    return this.#unsure
  }

  /** Everything the log held is in the file, and that is flushed. */
  restored(): void {
    this.#unsure = false
  }

  async close(): Promise<void> {
    await this.pending?.catch(() => {})
    if (this.#descriptor !== null) closeSync(this.#descriptor)
    this.#descriptor = null
  }

  async #follow(): Promise<void> {
    await this.#running?.catch(() => {})
    this.#running = this.#next
    this.#next = null
    try {
      if (this.#unsure) throw new Error('a flush failed before')
      await this.#sync((this.#descriptor ??= openSync(this.#path, 'r')))
    } catch (cause) {
      this.#unsure = true
      throw new StorageFailed(`${this.#path}: cannot be flushed`, { cause })
    } finally {
      this.#running = null
    }
  }
}
