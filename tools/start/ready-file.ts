/** What scripts and tests read: where everything listens, which process is whose. Replaced whole, never half written. */
import { rename, rm, writeFile } from 'node:fs/promises'

import type { ProfileName } from './options.ts'
import type { PortName } from './plan.ts'

export interface Ready {
  profile: ProfileName
  host: string
  /** By name; `submission-2` and so on for further replicas. Ports nobody listens on yet are given too. */
  ports: Record<PortName, number> & Record<string, number>
  /** Port of `/metrics`, `/healthz` and `/readyz`, by instance. */
  metrics: Record<string, number>
  domains: string[]
  accounts: { address: string; password: string }[]
  /** Path of the authority's certificate. */
  ca: string
  data: string
  /** How clients reach the bus; `ca`: PEM file it is verified with, where it speaks TLS. */
  bus: { url: string; ca: string | null }
  /** By instance, and `nats`, `nats-2`, `postgres`. Without --processes a service's pid is its process's. */
  pids: Record<string, number>
}

/** One writer for the path: several processes may be replaced at once, and the last to write knows most. */
export class ReadyFile {
  readonly #path: string
  #last: Promise<void> = Promise.resolve()
  #removed = false

  constructor(path: string) {
    this.#path = path
  }

  /** `ready` as it is when its turn comes. Nothing is written after `remove`. */
  write(ready: () => Ready): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#removed) return
      const draft = `${this.#path}.${process.pid}.tmp`
      await writeFile(draft, `${JSON.stringify(ready(), null, 2)}\n`, { mode: 0o600 })
      await rename(draft, this.#path)
    })
  }

  remove(): Promise<void> {
    this.#removed = true
    return this.#inTurn(() => rm(this.#path, { force: true }))
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}
