import { openBlobs } from '@postbus/blobs'
import { statusWriter } from '@postbus/bus'
import { directoryReady, MailLocal, MailStatus, QueueId } from '@postbus/contracts'
import { defineService, LastFailure, serves } from '@postbus/service'
import { openSpoolReader } from '@postbus/spool'
import { databaseOptions, whenRestored } from '@postbus/sql'

import { accountsOf } from './adapters/accounts.ts'
import { changeHints } from './adapters/changes.ts'
import { checkPorts } from './adapters/check-ports.ts'
import { deliveryGroups } from './adapters/deliveries.ts'
import { keepHouse } from './adapters/housekeeping.ts'
import { spoolContents } from './adapters/spool-contents.ts'
import { stagedContents } from './adapters/staged-contents.ts'
import { openStorage } from './adapters/storage/open-storage.ts'
import { sessionTokens } from './adapters/tokens.ts'
import { tracedStorage } from './adapters/traced-storage.ts'
import { MailstoreConfig } from './config.ts'
import { answerChanges } from './handlers/changes.ts'
import { answerDeliveries } from './handlers/deliveries.ts'
import { onMailLocal } from './handlers/mail-local.ts'
import { answerMailboxes } from './handlers/mailboxes.ts'
import { answerMetadata } from './handlers/metadata.ts'
import { answerOperators } from './handlers/operators.ts'
import { answerSelected } from './handlers/selected.ts'
import { sessions } from './handlers/sessions.ts'
import { appendMessages } from './mailbox/append.ts'
import { measured, mailstoreMetrics, mailstoreTable } from './metrics.ts'

/** No delivery: to see whether the database answers. */
const NOBODY = { queueId: QueueId.parse('0'.repeat(26)), account: '00000000' }

export const mailstoreService = defineService({
  name: 'mailstore',
  config: MailstoreConfig,
  metrics: [mailstoreTable],

  async start({ config, log, bus, metrics: registry, defer, readiness, probe, signal }) {
    const metrics = mailstoreMetrics(registry)
    const opened = await openStorage({
      database: config.MAILSTORE_DATABASE,
      blobs: { location: config.BLOBS, settings: config },
      readThreads: config.MAILSTORE_READ_THREADS,
      cacheBytes: config.MAILSTORE_CACHE_BYTES,
      keptHeaderBytes: config.MAILSTORE_HEADER_CACHE_BYTES,
      server: databaseOptions(config, log),
      limits: {
        maxMailboxes: config.MAILSTORE_MAX_MAILBOXES,
        maxSubscriptions: config.MAILSTORE_MAX_SUBSCRIPTIONS,
        maxKeywordsPerMailbox: config.MAILSTORE_MAX_KEYWORDS,
        maxMetadataEntries: config.MAILSTORE_MAX_METADATA_ENTRIES,
        defaultMailboxes: config.MAILSTORE_DEFAULT_MAILBOXES,
      },
    })
    defer(() => opened.close())
    const writes = new LastFailure('database')
    const storage = tracedStorage(measured(opened, metrics), config.MAILSTORE_DATABASE, writes)
    readiness(() => writes.reason())
    probe('database', () => opened.read('known', [NOBODY]))
    probe('directory', serves(bus, directoryReady))
    await whenRestored({ location: config.MAILSTORE_DATABASE, schema: 'mailstore' }, async () => {
      const outcome = await storage.write('renewUidValidities', null)
      log.warn(
        { mailboxes: outcome.kind === 'ok' ? outcome.value : 0 },
        'restored: every mailbox has a new UIDVALIDITY',
      )
    })
    const blobs = await openBlobs(config.BLOBS, config)
    defer(() => blobs.close())
    const spool = await openSpoolReader(config.SPOOL, { settings: config })
    defer(() => spool.close())

    const noteChanges = changeHints(bus)
    const accounts = accountsOf(bus, { maxAgeMs: config.MAILSTORE_ACCOUNT_CACHE_MS })
    defer(() => accounts.stop())

    const front = sessions({ storage, tokens: sessionTokens(bus), accounts, noteChanges })
    const append = appendMessages({
      ...stagedContents(blobs, {
        maxBytes: config.MAILSTORE_MAX_APPEND_BYTES,
        onRead: (bytes) => metrics.messageBytes.observe({ origin: 'append' }, bytes),
      }),
      append: (input) => front.write('append', input),
      now: Date.now,
    })
    const check = checkPorts(storage, blobs, async (what) => void (await front.write('repair', what)))
    const answering = await Promise.all([
      answerMailboxes(bus, front),
      answerSelected(bus, front),
      answerChanges(bus, front, append),
      answerMetadata(bus, front),
      answerOperators(bus, front, { check, log, undeleteMs: config.MAILSTORE_UNDELETE_MS }),
      answerDeliveries(bus, storage),
    ])
    defer(async () => void (await Promise.all(answering.flat().map((answer) => answer.stop()))))

    await bus.provisioned([MailLocal, MailStatus], signal)
    const maxInFlight = config.MAILSTORE_MAX_IN_FLIGHT
    const onBatch = (deliveries: number) => metrics.batch.observe(deliveries)
    const groups = deliveryGroups(storage, { maxInFlight, noteChanges, onBatch })
    const ports = {
      ...groups,
      describeAccount: (account: MailLocal['account']) => accounts.describe(account),
      content: spoolContents(spool, blobs, (bytes) => metrics.messageBytes.observe({ origin: 'delivery' }, bytes)),
      now: Date.now,
    }
    const handler = onMailLocal(ports, { statuses: statusWriter(bus), metrics })
    const consuming = await bus.consume(MailLocal, 'mailstore', { maxInFlight }, handler)
    defer(() => consuming.stop())

    const house = keepHouse({ storage, blobs, log, metrics }, housekeeping(config), signal)
    defer(() => house)
  },
})

function housekeeping(config: MailstoreConfig) {
  return {
    purgeMs: config.MAILSTORE_PURGE_MS,
    undeleteMs: config.MAILSTORE_UNDELETE_MS,
    blobGraceMs: config.MAILSTORE_BLOB_GRACE_MS,
    sweepMs: config.MAILSTORE_SWEEP_MS,
    stagedAgeMs: config.MAILSTORE_STAGED_AGE_MS,
    orphanAgeMs: config.MAILSTORE_ORPHAN_AGE_MS,
    indexMs: config.MAILSTORE_INDEX_MS,
    indexShare: config.MAILSTORE_INDEX_PERCENT / 100,
  }
}
