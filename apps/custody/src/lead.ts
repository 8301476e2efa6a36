/**
 * What the one leading replica does, from taking the lease to losing it: read MAIL_STATUS into the books, free records,
 * look for what was lost, and keep house. Everything stops when the lease is lost, and could not write any more if it did not.
 */
import type { Bus, Lease, Stoppable } from '@postbus/bus'
import {
  actOnDead,
  CustodyChanged,
  type EventContract,
  listDead,
  MailAccepted,
  MailDead,
  MailHold,
  MailLocal,
  MailOut,
  MailOutLater,
  MailStatus,
  type QueueId,
  showDead,
} from '@postbus/contracts'
import type { SpoolKeeper, SpoolReader, SpoolWriter } from '@postbus/spool'
import type { Logger } from 'pino'

import { deadLettersOn } from './adapters/dead-letters.ts'
import { ownersOver } from './adapters/owners.ts'
import { balanceOf, isBalanced } from './balance/balance.ts'
import type { CustodyConfig } from './config.ts'
import { freeRecords } from './ending/free-records.ts'
import { onActOnDead, onListDead, onShowDead } from './handlers/dead.ts'
import { onMailStatus } from './handlers/mail-status.ts'
import { type ReadOutcome, readReports } from './incoming/read-reports.ts'
import type { CustodyMetrics } from './metrics.ts'
import { type CensusPorts, changedStreams, takeCensus } from './reconcile/census.ts'
import { nothingYet, pass } from './reconcile/pass.ts'
import { scanSpool } from './reconcile/scan-spool.ts'
import { statusesRead } from './reconcile/statuses-read.ts'
import { Suspects } from './reconcile/suspects.ts'
import type { Place, Publication } from './reconcile/task.ts'
import type { ReporterNames, ReportPlan } from './report/plan.ts'
import { reportPass } from './report/report-pass.ts'
import { keepRound, pause, type Round } from './rounds.ts'
import type { Books, BooksWriter } from './tracking/books.ts'

const PAGE = 500
const PAGES_PER_PASS = 200
/** Each has files open. */
const REPORTS_AT_ONCE = 32
const REPORT_AGAIN_MS = 30_000
const MAX_SUSPECTS = 100_000
/** Longer than reading a full hand takes; what is not read by then is looked for again. */
const READ_PATIENCE_MS = 2_000
/** A scan, of the spool or of the books, may take this share of the time between two. */
const SCAN_SHARE = 20
const HOUSEKEEPING_MS = 600_000
const RETRY_MS = 1000

export interface LeadOptions {
  bus: Bus
  config: CustodyConfig
  log: Logger
  metrics: CustodyMetrics
  books: Books
  keeper: SpoolKeeper
  /** Where reports are put, and what they return is read. */
  spool: Pick<SpoolReader, 'open'> & Pick<SpoolWriter, 'putIfAbsent'>
  names(): Promise<ReporterNames>
  record(queueId: QueueId): Promise<MailAccepted | null>
}

/** Waits for the lease, leads, and waits again. Resolves when the signal aborted and nothing runs any more. */
export async function leadWhenever(options: LeadOptions, signal: AbortSignal): Promise<void> {
  const { bus, config, log } = options
  while (!signal.aborted) {
    try {
      const lease = await bus.acquireLease('custody', { ttlMs: config.CUSTODY_LEASE_MS, signal })
      try {
        await lead(lease, options, signal)
      } finally {
        await lease.release()
      }
    } catch (err) {
      if (signal.aborted) return
      log.error({ err }, 'could not lead the books')
      await pause(RETRY_MS, signal)
    }
  }
}

/** Resolves when the lease is lost or the signal aborts, and nothing of it runs any more. */
async function lead(lease: Lease, options: LeadOptions, signal: AbortSignal): Promise<void> {
  const { bus, config, log, metrics, books } = options
  const over = AbortSignal.any([signal, lease.lost])
  const writer = await books.lead(lease.revision)
  log.info({ revision: lease.revision }, 'leads the books')
  metrics.leading(true)
  const reading = await bus.consume(
    MailStatus,
    'custody',
    { maxInFlight: config.CUSTODY_MAX_IN_FLIGHT },
    onMailStatus({
      record: (statuses) => writer.record(statuses),
      changed: (queueIds) => {
        for (const queueId of queueIds) bus.hint(CustodyChanged, { queueId })
      },
      recorded: metrics.recorded,
    }),
  )
  const answering = await answerOperators(options, writer)
  try {
    await keepRound(roundsOf(options, writer), over, (round, err) => log.error({ err, round }, 'a round failed'))
  } finally {
    await Promise.all([...answering, reading].map((one) => one.stop()))
    metrics.leading(false)
    log.info('leads the books no more')
  }
}

/** Only whoever leads: what an operator decides about a dead letter is written into the books. */
function answerOperators({ bus, config, books, record, log }: LeadOptions, writer: BooksWriter): Promise<Stoppable[]> {
  const copies = deadLettersOn(bus, config.MAIL_OUT_SHARDS)
  const act = onActOnDead({
    ...{ books, writer, copies, record, now: () => new Date() },
    publish: (publication) => publishAgain(bus, publication),
    publishAccepted: (event) => bus.publish(MailAccepted, event),
  })
  return Promise.all([
    bus.answerRows(listDead, onListDead({ books, copies })),
    bus.answer(showDead, onShowDead({ books, copies })),
    bus.answer(actOnDead, async (input) => {
      const answer = await act(input)
      log.info({ act: input.act.kind, by: input.by, ids: input.ids, results: answer.results }, 'acted on dead letters')
      return answer
    }),
  ])
}

function roundsOf(options: LeadOptions, writer: BooksWriter): Round[] {
  const { bus, config, log, metrics, books, keeper, record } = options
  const now = (): Date => new Date()
  const ago = (ms: number): Date => new Date(Date.now() - ms)
  const suspects = new Suspects({
    gapMs: config.CUSTODY_CHECK_GAP_MS,
    max: MAX_SUSPECTS,
    now: () => performance.now(),
  })
  const ports = {
    ...{ books, writer, suspects, record, now },
    holds: ({ contract, subject, shard }: Place) => bus.holds(contract, subject, shard),
    statusesRead: statusesRead(() => bus.readingState(MailStatus, 'custody'), READ_PATIENCE_MS),
    askOwners: ownersOver(bus),
    publish: (publication: Publication) => publishAgain(bus, publication),
    publishAccepted: (event: MailAccepted) => bus.publish(MailAccepted, event),
  }
  const limits = {
    page: PAGE,
    pages: PAGES_PER_PASS,
    gapMs: config.CUSTODY_CHECK_GAP_MS,
    againMs: { min: config.CUSTODY_OVERDUE_MS, max: config.CUSTODY_LOOK_AGAIN_MAX_MS },
  }
  return [
    {
      name: 'free',
      pauseMs: config.CUSTODY_FREE_MS,
      async turn(signal) {
        const free = (queueIds: readonly QueueId[]) => keeper.free(queueIds)
        metrics.freed(await freeRecords({ writer, free, now }, PAGE, signal))
        return undefined
      },
    },
    reportRound(options, writer),
    incomingRound(options, writer),
    {
      name: 'reconcile',
      pauseMs: config.CUSTODY_RECONCILE_MS,
      async turn(signal) {
        const result = nothingYet()
        try {
          await pass(ports, limits, signal, result)
        } finally {
          metrics.passed(result)
          if (result.republished > 0) log.warn({ ...result }, 'published again what the bus had lost')
          for (const queueId of result.recordMissing) {
            log.error({ queueId }, 'a message that was never routed has no spool record')
          }
        }
        return undefined
      },
    },
    censusRound(options, writer),
    {
      name: 'scan',
      pauseMs: config.CUSTODY_SCAN_MS,
      async turn(signal) {
        const begun = performance.now()
        const olderThan = ago(config.CUSTODY_RECORD_AGE_MS)
        const records = await scanSpool({ list: () => keeper.list(), writer }, { olderThan, page: PAGE }, signal)
        const tookMs = performance.now() - begun
        metrics.scanned(records, tookMs / 1000)
        return Math.min(tookMs * SCAN_SHARE, config.CUSTODY_SCAN_MAX_MS)
      },
    },
    {
      name: 'books',
      pauseMs: config.CUSTODY_BOOKS_MS,
      async turn() {
        const begun = performance.now()
        const balance = balanceOf(await books.counts({ failures: false }))
        metrics.balanced(balance)
        if (!isBalanced(balance)) log.error({ ...balance, failed: balance.failed.total }, 'the books do not balance')
        return (performance.now() - begun) * SCAN_SHARE
      },
    },
    {
      name: 'housekeeping',
      pauseMs: HOUSEKEEPING_MS,
      async turn(signal) {
        const swept = await keeper.sweep(ago(config.CUSTODY_SWEEP_AGE * 1000))
        const compacted = await keeper.compact(ago(config.CUSTODY_COMPACT_AGE * 1000))
        let pruned = 0
        const [freedBefore, buriedBefore] = [ago(config.CUSTODY_HISTORY * 1000), ago(config.CUSTODY_TOMBSTONES * 1000)]
        for (let rows = 1; rows > 0 && !signal.aborted; pruned += rows) {
          rows = await writer.prune(freedBefore, buriedBefore, PAGE)
        }
        log.info({ swept, ...compacted, pruned }, 'kept house')
        return undefined
      },
    },
  ]
}

/** At the first turn, and whenever a stream is not what it was. */
function censusRound({ bus, config, log, metrics, books }: LeadOptions, writer: BooksWriter): Round {
  const places: { contract: EventContract; shard: number }[] = [MailAccepted, MailLocal, MailHold, MailDead].map(
    (contract) => ({ contract, shard: 0 }),
  )
  for (let shard = 0; shard < config.MAIL_OUT_SHARDS; shard++) places.push({ contract: MailOut, shard })
  const ports: CensusPorts = {
    ...{ books, writer, now: () => new Date() },
    streams: () =>
      Promise.all(
        places.map(async ({ contract, shard }) => ({
          name: `${contract.stream.name}/${shard}`,
          ...(await bus.streamState(contract, shard)),
        })),
      ),
    async *subjects() {
      for (const { contract, shard } of places) yield* bus.subjects(contract, shard)
    },
  }
  let first = true
  return {
    name: 'census',
    pauseMs: config.CUSTODY_RECONCILE_MS,
    async turn(signal) {
      const changed = changedStreams(await books.knownStreams(), await ports.streams())
      if (!first && changed.length === 0) return undefined
      const begun = performance.now()
      const census = await takeCensus(ports, signal)
      first = false
      const tookMs = Math.round(performance.now() - begun)
      metrics.censused(census)
      log[census.missing > 0 ? 'warn' : 'info'](
        { ...census, tookMs, changed: changed.map(({ name }) => name) },
        'compared everything open with the bus',
      )
      return undefined
    },
  }
}

function reportRound({ bus, config, log, metrics, books, spool, names }: LeadOptions, writer: BooksWriter): Round {
  const ports = {
    ...{ spool, writer, names, now: () => new Date() },
    isKnown: (queueId: QueueId) => books.isKnown(queueId),
    publish: (event: MailAccepted) => bus.publish(MailAccepted, event),
    unreadable: (queueId: QueueId, err: unknown) =>
      log.error({ err, queueId }, 'a message cannot be read; the report about it goes without it'),
    sent({ queueId, kind, entry, recipients }: ReportPlan) {
      metrics.reported(kind)
      bus.hint(CustodyChanged, { queueId: entry.queueId })
      log.info({ queueId, about: entry.queueId, kind, recipients: recipients.length }, 'reported to the sender')
    },
    failed: ({ queueId, entry }: ReportPlan, err: unknown) =>
      log.error({ err, queueId, about: entry.queueId }, 'a report could not be sent; it is tried again'),
  }
  return {
    name: 'report',
    pauseMs: config.CUSTODY_REPORT_MS,
    async turn(signal) {
      await reportPass(ports, { page: REPORTS_AT_ONCE, againMs: REPORT_AGAIN_MS }, signal)
      return undefined
    },
  }
}

function incomingRound({ bus, config, log, metrics, books, spool }: LeadOptions, writer: BooksWriter): Round {
  const ports = {
    ...{ books, writer, spool },
    read(queueId: QueueId, outcome: ReadOutcome, about: QueueId | null) {
      metrics.read(outcome)
      if (about !== null) bus.hint(CustodyChanged, { queueId: about })
      log.info({ queueId, outcome, ...(about !== null && { about }) }, 'read a report that came in')
    },
    failed: (queueId: QueueId, err: unknown) =>
      log.error({ err, queueId }, 'a report that came in cannot be read; it is tried again'),
  }
  const limits = {
    page: PAGE,
    maxBytes: config.CUSTODY_REPORT_READ_BYTES,
    laterReports: config.CUSTODY_LATER_REPORTS,
  }
  return {
    name: 'incoming',
    pauseMs: config.CUSTODY_REPORT_MS,
    async turn(signal) {
      await readReports(ports, limits, signal)
      return undefined
    },
  }
}

function publishAgain(bus: Bus, publication: Publication): Promise<void> {
  switch (publication.kind) {
    case 'local':
      return bus.publish(MailLocal, publication.event)
    case 'out':
      return bus.publish(MailOut, publication.event)
    case 'hold':
      return bus.publish(MailHold, publication.event)
    case 'later': {
      const { event, at } = publication
      return bus.publish(MailOutLater, event, { schedule: { at, target: MailOut.subject(event) } })
    }
  }
}
