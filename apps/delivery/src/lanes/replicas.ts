/**
 * Who is alive, as far as this replica has heard, and which lanes are whose because of it. A hint that was lost costs balance for a
 * while; that a lane has one owner is the lease's to see to.
 */
import { balance } from './balance.ts'
import type { Clock } from './clock.ts'

export interface ReplicasOptions {
  /** This one. */
  own: string
  lanes: readonly string[]
  /** A replica not heard for so long is gone. */
  aliveMs: number
  clock: Clock
}

/** More than anybody runs: what claims to be more is not believed. */
const MAX_REPLICAS = 1000

export class Replicas {
  readonly #options: ReplicasOptions
  /** When each was heard last. */
  readonly #heard = new Map<string, number>()
  #owners: Map<string, string>
  #changed = new AbortController()

  constructor(options: ReplicasOptions) {
    this.#options = options
    this.#owners = balance(options.lanes, [options.own])
  }

  /** How many are alive, with this one. */
  get live(): number {
    return this.#heard.size + 1
  }

  /** Aborted as soon as a lane may be another's than it was. */
  get changed(): AbortSignal {
    return this.#changed.signal
  }

  isOurs(lane: string): boolean {
    return this.#owners.get(lane) === this.#options.own
  }

  /** @returns whether that one was not known: it may not know this one either */
  heard({ replica, leaving }: { replica: string; leaving: boolean }): boolean {
    const { own, clock } = this.#options
    if (replica === own) return false
    const known = this.#heard.has(replica)
    if (!known && (leaving || this.#heard.size === MAX_REPLICAS)) return false
    if (leaving) this.#heard.delete(replica)
    else this.#heard.set(replica, clock.now())
    if (known === leaving) this.#work()
    return !known
  }

  /** Forgets those not heard any more; to be called now and then. */
  forget(): void {
    const { aliveMs, clock } = this.#options
    const before = this.#heard.size
    for (const [replica, at] of this.#heard) if (clock.now() - at > aliveMs) this.#heard.delete(replica)
    if (this.#heard.size < before) this.#work()
  }

  #work(): void {
    const { own, lanes } = this.#options
    this.#owners = balance(lanes, [own, ...this.#heard.keys()].toSorted())
    const changed = this.#changed
    this.#changed = new AbortController()
    changed.abort()
  }
}
