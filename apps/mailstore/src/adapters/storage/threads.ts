/** The near end of worker threads: calls in, answers out, a new thread for one that died. */
import { Worker } from 'node:worker_threads'

import type { PostgresOptions } from '@postbus/sql'

import { StorageUnavailable } from '../../mailbox/storage.ts'
import type { Answer, Notice, ThreadData, Failure } from './thread.ts'

interface Waiting {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** Of a thread's database, where that is on a server: it has to be waited for, and has not any more. */
export type Notices = Required<Pick<PostgresOptions, 'waiting' | 'recovered'>>

export class StorageThread {
  readonly #data: ThreadData
  readonly #notices: Notices
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #lastId = 0
  #onIdle: (() => void) | undefined

  constructor(data: ThreadData, notices: Notices) {
    this.#data = data
    this.#notices = notices
  }

  get busy(): number {
    return this.#waiting.size
  }

  /** Before something is asked of it, which it would else begin with. */
  start(): void {
    if (this.#waiting.size === 0) this.#running().unref()
  }

  call(kind: string, input: unknown): Promise<unknown> {
    const worker = this.#running()
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      // Only what somebody waits for keeps the process running.
      worker.ref()
      this.#waiting.set(id, { resolve, reject })
      worker.postMessage({ id, kind, input })
    })
  }

  /** What is under way is finished by the database or not at all. */
  async close(): Promise<void> {
    if (this.#waiting.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #running(): Worker {
    return (this.#worker ??= this.#begin())
  }

  #begin(): Worker {
    const worker = new Worker(new URL('./thread.ts', import.meta.url), {
      name: `storage-${this.#data.role}`,
      workerData: this.#data,
    })
    let isWaiting = false
    const note = (waitsFor: string | null): void => {
      if (isWaiting === (waitsFor !== null)) return
      isWaiting = waitsFor !== null
      if (waitsFor === null) this.#notices.recovered()
      else this.#notices.waiting(new Error(waitsFor))
    }
    worker.on('message', (message: Answer | Notice) => {
      if ('waitsFor' in message) return note(message.waitsFor)
      const { id, result, failure } = message
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (failure === undefined) waiting?.resolve(result)
      else waiting?.reject(errorOf(failure))
      if (this.#waiting.size === 0) this.#idle(worker)
    })
    worker.on('error', (error) => this.#ended(worker, error))
    worker.on('exit', () => {
      note(null)
      this.#ended(worker, 'the storage thread ended')
    })
    return worker
  }

  #idle(worker: Worker): void {
    worker.unref()
    this.#onIdle?.()
  }

  #ended(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const { reject } of this.#waiting.values()) reject(new StorageUnavailable('a storage thread ended', { cause }))
    this.#waiting.clear()
    this.#onIdle?.()
  }
}

function errorOf({ unavailable, message, stack }: Failure): Error {
  const error = unavailable ? new StorageUnavailable(message) : new Error(message)
  if (stack !== undefined) error.stack = stack
  return error
}
