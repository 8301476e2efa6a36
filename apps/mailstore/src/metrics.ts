import {
  counter,
  histogram,
  type MetricsRegistry,
  openMetrics,
  type Opened,
  SECONDS,
  seen,
  tracedHistogram,
} from '@postbus/metrics'

import type { MailStorage } from './mailbox/storage.ts'

export const mailstoreTable = {
  timeToInbox: tracedHistogram(
    'mail_time_to_inbox_seconds',
    'From the acceptance of a message to the commit of its mailbox, per recipient, by the clocks of both machines.',
    // 5 s is what the objective is about.
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200],
  ),
  deliveries: counter('mail_mailstore_deliveries_total', 'Tasks of mail.local by outcome.', {
    outcome: ['delivered', 'repeat', 'failed'],
  }),
  batch: histogram(
    'mail_mailstore_batch_messages',
    'Deliveries that shared one transaction.',
    [1, 2, 4, 8, 16, 32, 64, 128, 256],
  ),
  messageBytes: histogram(
    'mail_mailstore_message_bytes',
    'Size of messages prepared for storing; the number of those of origin append is that of APPENDs.',
    [1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 16_777_216, 67_108_864],
    { origin: seen<'delivery' | 'append'>('delivery, append') },
  ),
  write: histogram('mail_mailstore_commit_seconds', 'From asking for a write to its commit.', SECONDS, {
    command: seen('writes of the storage: deliver, append, flags, expunge, …'),
  }),
  read: histogram('mail_mailstore_read_seconds', 'One read of the storage (a page).', SECONDS, {
    command: seen('reads of the storage: open, fetch, search, …'),
  }),
  purgedRows: counter('mail_mailstore_purged_rows_total', 'Rows nothing showed any more.'),
  indexedTexts: counter('mail_mailstore_indexed_texts_total', 'Contents the text index came by.', {
    outcome: ['read', 'unreadable'],
  }),
  removedBlobs: counter('mail_mailstore_removed_blobs_total', 'Blobs taken away.', {
    reason: ['unused', 'orphaned', 'staged', 'unfinished'],
  }),
}

export type MailstoreMetrics = Opened<typeof mailstoreTable>

export const mailstoreMetrics = (registry: MetricsRegistry): MailstoreMetrics => openMetrics(mailstoreTable, registry)

/** The same storage, watched. */
export function measured(storage: MailStorage, { read, write }: Pick<MailstoreMetrics, 'read' | 'write'>): MailStorage {
  return {
    async read(kind, input) {
      const begun = performance.now()
      try {
        return await storage.read(kind, input)
      } finally {
        read.observe({ command: kind }, (performance.now() - begun) / 1000)
      }
    },
    async write(kind, input) {
      const begun = performance.now()
      try {
        return await storage.write(kind, input)
      } finally {
        write.observe({ command: kind }, (performance.now() - begun) / 1000)
      }
    },
    index: () => storage.index(),
    close: () => storage.close(),
  }
}
