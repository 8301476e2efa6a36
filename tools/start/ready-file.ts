/** What scripts and tests read: where everything listens, which process is whose. Replaced whole, never half written. */
import { rename, rm, writeFile } from 'node:fs/promises'

import type { PortName } from './plan.ts'

export interface Ready {
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
  /** By instance, and `nats`. Without --processes a service's pid is its process's. */
  pids: Record<string, number>
}

export async function writeReadyFile(path: string, ready: Ready): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`
  await writeFile(draft, `${JSON.stringify(ready, null, 2)}\n`, { mode: 0o600 })
  await rename(draft, path)
}

export async function removeReadyFile(path: string): Promise<void> {
  await rm(path, { force: true })
}
