import type { Resolution } from '@postbus/contracts'
import { counter, gauge, histogram, type MetricsRegistry, openMetrics, seen } from '@postbus/metrics'

import type { Hasher } from './accounts/hasher.ts'
import type { Throttle } from './accounts/throttle.ts'

export const directoryTable = {
  logins: counter('mail_directory_logins_total', 'Logins by front end.', {
    front_end: ['submission', 'imap', 'pop3'],
    result: ['accepted', 'refused', 'throttled'],
  }),
  resolutions: counter('mail_directory_resolutions_total', 'Addresses resolved, by what they are.', {
    kind: seen<Resolution['kind']>('account, alias, list, rewrite, discard, remote, unknown, disabled'),
  }),
  hashes: histogram(
    'mail_directory_hash_seconds',
    'Time to compute one password hash, without waiting for its turn.',
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  ),
  refused: counter('mail_directory_sending_refused_total', 'Messages over a sending limit.', {
    limit: ['messages', 'recipients'],
  }),
  changes: counter('mail_directory_changes_total', 'Changes by operators.', {
    operation: seen('requests of [subjects](subjects.md), without `directory.`: addDomain … removeTransport'),
  }),
  hashWaiting: gauge('mail_directory_hash_waiting', 'Logins waiting for their turn to be hashed.'),
  throttleEntries: gauge('mail_directory_throttle_entries', 'Counts of failures and known addresses in memory.'),
}

export interface DirectoryMetrics {
  loggedIn(service: 'submission' | 'imap' | 'pop3', result: 'accepted' | 'refused' | 'throttled'): void
  resolved(kind: Resolution['kind']): void
  /** Wraps a hash to time it. */
  hashed<R>(work: () => Promise<R>): Promise<R>
  sendingRefused(limit: 'messages' | 'recipients'): void
  changed(operation: string): void
}

export function directoryMetrics(
  registry: MetricsRegistry,
  watched: { hasher: Hasher; throttle: Throttle },
): DirectoryMetrics {
  const metrics = openMetrics(directoryTable, registry)
  const { logins, resolutions, hashes, refused, changes, hashWaiting, throttleEntries } = metrics
  hashWaiting.whenRead(() => hashWaiting.set(watched.hasher.waiting))
  throttleEntries.whenRead(() => throttleEntries.set(watched.throttle.entries))
  return {
    loggedIn: (service, result) => logins.inc({ front_end: service, result }),
    resolved: (kind) => resolutions.inc({ kind }),
    async hashed(work) {
      const begun = performance.now()
      try {
        return await work()
      } finally {
        hashes.observe((performance.now() - begun) / 1000)
      }
    },
    sendingRefused: (limit) => refused.inc({ limit }),
    changed: (operation) => changes.inc({ operation }),
  }
}
