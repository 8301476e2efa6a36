/**
 * Transactions on threads of their own, so that speaking with other hosts and deciding what is spoken have a processor each. The
 * scheduler stays in one place: a site's limits hold whatever the number of threads.
 *
 * A message goes to the same thread each time: its signature is remembered there. What a trace records stays in the process, where
 * its spans are; a thread has none.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

import type { MailOut, QueueId } from '@postbus/contracts'
import { isRecorded } from '@postbus/tracing'

import type { Delivered, RecipientOutcome } from '../../attempt/deliver.ts'
import { type Destination, orTemporary } from '../../attempt/destination.ts'
import type { DeliveryConfig } from '../../config.ts'
import type { TransactionMetrics, Transactions } from '../../transaction.ts'
import type { SigningKeys } from '../signing-keys.ts'
import {
  type Counted,
  type Errand,
  errorOf,
  failureOf,
  type FromThread,
  type Result,
  type ThreadData,
  type ToThread,
} from './errands.ts'

/** Sessions that wait take their leave (RFC 5321 §4.1.1.10); nobody waits long for them. */
const CLOSE_MS = 1000

type Keys = Pick<SigningKeys, 'keysOf' | 'generation'>

/** @param here what does it without threads */
export function transactionThreads(
  here: Transactions,
  config: DeliveryConfig,
  keys: Keys | null,
  metrics: TransactionMetrics,
): Transactions {
  const threads = Array.from(
    { length: config.DELIVERY_THREADS },
    () => new TransactionThread({ config }, keys, metrics),
  )
  return {
    async transact(tasks, route, destination) {
      const thread = threads[numberOf(tasks[0].queueId) % threads.length]
      if (thread === undefined || isRecorded()) return here.transact(tasks, route, destination)
      return thread.transact(tasks, route, await orTemporary(destination))
    },
    async close() {
      await Promise.all([here.close(), ...threads.map((thread) => thread.close())])
    },
  }
}

/** Its last two digits are random. */
const numberOf = (queueId: QueueId): number => Number.parseInt(queueId.slice(-2), 36)

interface Waiting {
  tasks: readonly MailOut[]
  resolve(delivered: Delivered): void
  reject(error: Error): void
}

class TransactionThread {
  readonly #worker: Worker
  readonly #ended: Promise<unknown>
  readonly #keys: Keys | null
  readonly #metrics: TransactionMetrics
  readonly #waiting = new Map<number, Waiting>()
  #errands: Errand[] = []
  /** How many are expected, for as many have ended. */
  #due = 0
  #lastId = 0

  constructor(data: ThreadData, keys: Keys | null, metrics: TransactionMetrics) {
    this.#keys = keys
    this.#metrics = metrics
    this.#worker = new Worker(new URL('./thread.ts', import.meta.url), { name: 'transactions', workerData: data })
    this.#worker.on('message', (message: FromThread) => this.#heard(message))
    // As if it had happened in the process itself: what is under way comes back by the bus.
    this.#worker.on('error', (cause) => {
      throw new Error('a thread that speaks with other hosts died', { cause })
    })
    this.#ended = new Promise((resolve) => this.#worker.once('exit', resolve))
  }

  transact(tasks: Errand['tasks'], route: Errand['route'], destination: Destination): Promise<Delivered> {
    const id = ++this.#lastId
    const generation = this.#keys?.generation() ?? 0
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { tasks, resolve, reject })
      if (this.#errands.length === 0) setImmediate(() => this.#sayErrands())
      this.#errands.push({ id, tasks, route, destination, generation })
      // No more are to come: they need not wait for the rest of the turn, in which what ended is settled.
      if (this.#errands.length === this.#due) this.#sayErrands()
    })
  }

  async close(): Promise<void> {
    this.#sayErrands()
    this.#say({ kind: 'close' })
    await Promise.race([this.#ended, pause(CLOSE_MS, undefined, { ref: false })])
    await this.#worker.terminate()
  }

  #heard(message: FromThread): void {
    if (message.kind === 'keysOf') return void this.#tellKeys(message.id, message.domains)
    this.#due = message.results.length
    for (const result of message.results) this.#finish(result)
    for (const event of message.counted) this.#count(event)
  }

  #finish(result: Result): void {
    const waiting = this.#waiting.get(result.id)
    this.#waiting.delete(result.id)
    if (result.kind === 'failed') return waiting?.reject(errorOf(result.failure))
    const outcomes = new Map<MailOut, RecipientOutcome>()
    for (const [index, outcome] of result.outcomes.entries()) {
      const task = waiting?.tasks[index]
      if (task !== undefined) outcomes.set(task, outcome)
    }
    waiting?.resolve({ outcomes, news: result.news })
  }

  #count(event: Counted): void {
    switch (event.name) {
      case 'session':
        return this.#metrics.session(...event.with)
      case 'sessionFailed':
        return this.#metrics.sessionFailed(...event.with)
      case 'signed':
        return this.#metrics.signed(...event.with)
    }
  }

  async #tellKeys(id: number, domains: readonly string[]): Promise<void> {
    try {
      this.#say({ kind: 'keys', id, keys: (await this.#keys?.keysOf(domains)) ?? [] })
    } catch (error) {
      this.#say({ kind: 'noKeys', id, failure: failureOf(error) })
    }
  }

  #sayErrands(): void {
    if (this.#errands.length > 0) this.#say({ kind: 'transact', errands: this.#errands })
    this.#errands = []
    this.#due = 0
  }

  #say(message: ToThread): void {
    this.#worker.postMessage(message)
  }
}
