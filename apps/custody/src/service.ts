import { keepProvisioned } from '@postbus/bus'
import {
  balanceBooks,
  countQueue,
  findMessages,
  listQueue,
  type MailAccepted,
  MailStatus,
  type QueueId,
  recipientHistory,
  where,
} from '@postbus/contracts'
import { defineService } from '@postbus/service'
import { NoSuchRecord, openSpoolKeeper, openSpoolReader, openSpoolWriter, type SpoolReader } from '@postbus/spool'
import { databaseOptions, databaseTable, migrate, openDatabase } from '@postbus/sql'

import { reporterNames } from './adapters/reporter-names.ts'
import { migrations } from './adapters/storage/migrations.ts'
import { sqlBooks } from './adapters/storage/sql-books.ts'
import type { Tables } from './adapters/storage/tables.ts'
import { CustodyConfig } from './config.ts'
import { onBalanceBooks } from './handlers/books.ts'
import { onFind } from './handlers/find.ts'
import { onHistory } from './handlers/history.ts'
import { onCountQueue, onListQueue } from './handlers/queue.ts'
import { onWhere } from './handlers/where.ts'
import { leadWhenever } from './lead.ts'
import { custodyMetrics, custodyTable } from './metrics.ts'

export const custodyService = defineService<CustodyConfig>({
  name: 'custody',
  config: CustodyConfig,
  metrics: [custodyTable, databaseTable],
  async start({ config, log, bus, metrics: registry, defer, probe, signal }) {
    // Before anything else, here and everywhere: nobody can work without the streams. Harmless when several do it.
    if (config.CUSTODY_PROVISIONER_NKEY_FILE) {
      const provisioner = await keepProvisioned({
        servers: config.NATS_URL,
        nkeyFile: config.CUSTODY_PROVISIONER_NKEY_FILE,
        ...(config.NATS_CA_FILE && {
          tls: { caFile: config.NATS_CA_FILE, certFile: config.NATS_CERT_FILE, keyFile: config.NATS_KEY_FILE },
        }),
        shards: config.MAIL_OUT_SHARDS,
        replicas: config.CUSTODY_STREAM_REPLICAS,
        maxBytes: config.CUSTODY_STREAM_MAX_BYTES,
        storeDir: config.CUSTODY_BUS_STORE_DIR,
        ...{ signal, log },
      })
      defer(() => provisioner.stop())
    }
    await bus.provisioned([MailStatus], signal)

    const db = openDatabase<Tables>(config.CUSTODY_DATABASE, {
      schema: 'custody',
      ...databaseOptions(config, log, registry),
    })
    defer(() => db.close())
    await migrate(db, migrations)
    const books = sqlBooks(db, {
      overdueMs: config.CUSTODY_OVERDUE_MS,
      gatherMs: config.CUSTODY_REPORT_GATHER_MS,
      delayMs: config.CUSTODY_DELAY_REPORT * 1000,
      historyKept: config.CUSTODY_HISTORY_STATUSES,
      now: () => Date.now(),
    })
    probe('database', () => books.knownStreams())
    const metrics = custodyMetrics(registry, books)
    const reader = await openSpoolReader(config.SPOOL, { settings: config })
    defer(() => reader.close())
    const record = recordsIn(reader)
    const keeper = await openSpoolKeeper(config.SPOOL, {
      settings: config,
      onDamage: (queueId, err) => log.error({ err, queueId }, 'a spool record cannot be read'),
    })
    defer(() => keeper.close())

    const spoolWriter = await openSpoolWriter(config.SPOOL, { settings: config, writerName: 'custody' })
    defer(() => spoolWriter.close())
    const spool = {
      open: (queueId: QueueId) => reader.open(queueId),
      putIfAbsent: spoolWriter.putIfAbsent.bind(spoolWriter),
    }
    const names = reporterNames(bus, config.MAIL_HOSTNAME)

    const answering = await Promise.all([
      bus.answer(where, onWhere({ find: books.find, record })),
      bus.answer(findMessages, onFind(books)),
      bus.answer(recipientHistory, onHistory(books)),
      bus.answer(balanceBooks, onBalanceBooks(books)),
      bus.answer(countQueue, onCountQueue(books)),
      bus.answerRows(listQueue, onListQueue(books)),
    ])
    defer(async () => void (await Promise.all(answering.map((answers) => answers.stop()))))

    const leading = leadWhenever({ bus, config, log, metrics, books, keeper, spool, names, record }, signal)
    defer(() => leading)
  },
})

/** The event in a spool record; null where there is no record. */
function recordsIn(reader: SpoolReader): (queueId: QueueId) => Promise<MailAccepted | null> {
  return async (queueId) => {
    try {
      const record = await reader.open(queueId)
      await record.close()
      return record.accepted
    } catch (error) {
      if (error instanceof NoSuchRecord) return null
      throw error
    }
  }
}
