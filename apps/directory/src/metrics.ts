import type { Resolution } from '@postbus/contracts'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

import type { Hasher } from './accounts/hasher.ts'
import type { Throttle } from './accounts/throttle.ts'

export interface DirectoryMetrics {
  loggedIn(service: 'submission' | 'imap' | 'pop3', result: 'accepted' | 'refused' | 'throttled'): void
  resolved(kind: Resolution['kind']): void
  /** Wraps a hash to time it. */
  hashed<R>(work: () => Promise<R>): Promise<R>
  sendingRefused(limit: 'messages' | 'recipients'): void
  changed(operation: string): void
}

export function directoryMetrics(
  registry: Registry,
  watched: { hasher: Hasher; throttle: Throttle },
): DirectoryMetrics {
  const registers = [registry]
  const logins = new Counter({
    name: 'mail_directory_logins_total',
    help: 'Logins by front end and result.',
    labelNames: ['service', 'result'], // submission, imap, pop3; accepted, refused, throttled
    registers,
  })
  const resolutions = new Counter({
    name: 'mail_directory_resolutions_total',
    help: 'Addresses resolved, by what they are.',
    labelNames: ['kind'], // account, alias, list, rewrite, discard, remote, unknown, disabled
    registers,
  })
  const hashes = new Histogram({
    name: 'mail_directory_hash_seconds',
    help: 'Time to compute one password hash, without waiting for its turn.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers,
  })
  const refused = new Counter({
    name: 'mail_directory_sending_refused_total',
    help: 'Messages over a sending limit, by limit.',
    labelNames: ['limit'], // messages, recipients
    registers,
  })
  const changes = new Counter({
    name: 'mail_directory_changes_total',
    help: 'Changes by operators, by request.',
    labelNames: ['operation'], // addDomain … removeAlias
    registers,
  })
  new Gauge({
    name: 'mail_directory_hash_waiting',
    help: 'Logins waiting for their turn to be hashed.',
    registers,
    collect() {
      this.set(watched.hasher.waiting)
    },
  })
  new Gauge({
    name: 'mail_directory_throttle_entries',
    help: 'Counts of failures and known addresses in memory.',
    registers,
    collect() {
      this.set(watched.throttle.entries)
    },
  })
  return {
    loggedIn: (service, result) => logins.inc({ service, result }),
    resolved: (kind) => resolutions.inc({ kind }),
    async hashed(work) {
      const stop = hashes.startTimer()
      try {
        return await work()
      } finally {
        stop()
      }
    },
    sendingRefused: (limit) => refused.inc({ limit }),
    changed: (operation) => changes.inc({ operation }),
  }
}
