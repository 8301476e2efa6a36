/** What a service counts of its database. */
import { histogram, type MetricsRegistry, openMetrics, SECONDS, seen } from '@postbus/metrics'

import type { Observer } from './observed.ts'

export const databaseTable = {
  transactions: histogram(
    'mail_database_transaction_seconds',
    'From asking for a transaction to its commit, or to the end of its failure: its turn, its work, the flush.',
    SECONDS,
    { outcome: seen<'committed' | 'failed'>('committed, failed') },
  ),
  reads: histogram(
    'mail_database_read_seconds',
    'One query outside a transaction, or one snapshot with all it reads, until the rows are there.',
    SECONDS,
  ),
}

export function databaseMetrics(registry: MetricsRegistry): Observer {
  const { transactions, reads } = openMetrics(databaseTable, registry)
  return {
    read: (seconds) => reads.observe(seconds),
    transaction: (outcome, seconds) => transactions.observe({ outcome }, seconds),
  }
}
