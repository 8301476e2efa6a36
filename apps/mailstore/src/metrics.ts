import { Counter, Histogram, type Registry } from 'prom-client'

import type { MailStorage } from './mailbox/storage.ts'

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

export type MailstoreMetrics = ReturnType<typeof mailstoreMetrics>

export function mailstoreMetrics(registry: Registry) {
  const registers = [registry]
  return {
    deliveries: new Counter({
      name: 'mail_mailstore_deliveries_total',
      help: 'Tasks of mail.local by outcome',
      labelNames: ['outcome'], // delivered, repeat, failed
      registers,
    }),
    batch: new Histogram({
      name: 'mail_mailstore_batch_messages',
      help: 'Deliveries that shared one transaction',
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
      registers,
    }),
    messageBytes: new Histogram({
      name: 'mail_mailstore_message_bytes',
      help: 'Size of messages prepared for storing',
      buckets: [1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 16_777_216, 67_108_864],
      labelNames: ['origin'], // delivery, append
      registers,
    }),
    write: new Histogram({
      name: 'mail_mailstore_commit_seconds',
      help: 'From asking for a write to its commit, by command',
      buckets: seconds,
      labelNames: ['command'],
      registers,
    }),
    read: new Histogram({
      name: 'mail_mailstore_read_seconds',
      help: 'One read of the storage (a page), by command',
      buckets: seconds,
      labelNames: ['command'],
      registers,
    }),
    purgedRows: new Counter({
      name: 'mail_mailstore_purged_rows_total',
      help: 'Rows nothing showed any more',
      registers,
    }),
    indexedTexts: new Counter({
      name: 'mail_mailstore_indexed_texts_total',
      help: 'Contents looked at by the text index',
      labelNames: ['outcome'], // read, unreadable
      registers,
    }),
    removedBlobs: new Counter({
      name: 'mail_mailstore_removed_blobs_total',
      help: 'Blobs taken away',
      labelNames: ['reason'], // unused, orphaned, staged, unfinished
      registers,
    }),
  }
}

/** The same storage, watched. */
export function measured(storage: MailStorage, { read, write }: Pick<MailstoreMetrics, 'read' | 'write'>): MailStorage {
  return {
    async read(kind, input) {
      const end = read.startTimer({ command: kind })
      try {
        return await storage.read(kind, input)
      } finally {
        end()
      }
    },
    async write(kind, input) {
      const end = write.startTimer({ command: kind })
      try {
        return await storage.write(kind, input)
      } finally {
        end()
      }
    },
    index: () => storage.index(),
    close: () => storage.close(),
  }
}
