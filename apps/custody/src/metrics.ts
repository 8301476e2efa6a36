import type { BooksBalance, Status } from '@postbus/contracts'
import { counter, gauge, type MetricsRegistry, openMetrics, seen } from '@postbus/metrics'

import type { ReadOutcome } from './incoming/read-reports.ts'
import type { Census } from './reconcile/census.ts'
import type { PassResult } from './reconcile/pass.ts'
import type { ReportKind } from './report/should-report.ts'
import type { Books } from './tracking/books.ts'

/** Counting a million open recipients takes half a second. */
const COUNT_EVERY_MS = 60_000

export const custodyTable = {
  statuses: counter('mail_custody_statuses_total', 'Statuses entered in the books, repetitions included.', {
    kind: seen<Status['kind']>('as in the contract of mail.status'),
  }),
  freed: counter('mail_custody_freed_records_total', 'Spool records given back.'),
  reports: counter('mail_custody_reports_total', 'Reports to senders that are in custody, by what they tell.', {
    kind: ['failure', 'delay', 'success'],
  }),
  incoming: counter(
    'mail_custody_incoming_reports_total',
    'Delivery reports that came in and were read, by whether they are about a message of ours.',
    { outcome: ['tied', 'unrelated', 'unreadable'] },
  ),
  looked: counter('mail_custody_overdue_total', 'Overdue messages and recipients looked for, by what was found.', {
    finding: ['found', 'suspect', 'republished', 'recordMissing'],
  }),
  scanned: gauge(
    'mail_custody_spool_records',
    'Records seen by the last scan of the spool; of the replica that leads.',
  ),
  scanSeconds: gauge('mail_custody_scan_seconds', 'How long the last scan of the spool took.'),
  missing: counter(
    'mail_custody_census_missing_total',
    'Open messages and recipients that a comparison with the whole bus did not find there.',
  ),
  difference: gauge(
    'mail_custody_books_difference',
    'Recipients accepted minus those the books can account for; 0 while the books balance. Of the replica that leads.',
    { of: seen('originals, recipients, merged') },
  ),
  leading: gauge('mail_custody_leading', '1 while this replica leads.'),
  openRecipients: gauge('mail_custody_open_recipients', 'Final recipients that have not ended; counted once a minute.'),
  messages: gauge('mail_custody_messages', 'Messages whose record is not freed, by phase; counted once a minute.', {
    phase: seen('open, reportDue, settled, buried'),
  }),
  oldest: gauge(
    'mail_custody_oldest_ready_seconds',
    'How long the oldest waits that somebody could work on now: a message for its routing, a recipient for its mailbox, or for its next attempt. What is held, dead or deferred to a later time does not count. Looked up once a minute.',
    { waiting: seen('routing, mailbox, attempt') },
  ),
}

export interface CustodyMetrics {
  recorded(statuses: readonly Status[]): void
  freed(records: number): void
  reported(kind: ReportKind): void
  read(outcome: ReadOutcome): void
  passed(result: PassResult): void
  scanned(records: number, seconds: number): void
  censused(census: Census): void
  balanced(balance: Pick<BooksBalance, 'differences'>): void
  leading(leads: boolean): void
}

export function custodyMetrics(registry: MetricsRegistry, books: Pick<Books, 'count' | 'oldestReady'>): CustodyMetrics {
  const metrics = openMetrics(custodyTable, registry)
  const { statuses, freed, reports, incoming, looked, scanned, scanSeconds, missing, difference, leading } = metrics
  const count = atMostEvery(COUNT_EVERY_MS, () => books.count())
  // As of the look-up: what was young then has gone by now, as a rule.
  const oldestReady = atMostEvery(COUNT_EVERY_MS, async () => {
    const now = Date.now()
    const ages = Object.entries(await books.oldestReady())
    return ages.map(([waiting, since]) => [waiting, since === null ? 0 : Math.max(0, now - since) / 1000] as const)
  })
  metrics.messages.whenRead(async () => {
    for (const [phase, messages] of Object.entries((await count()).phases)) metrics.messages.set({ phase }, messages)
  })
  metrics.openRecipients.whenRead(async () => metrics.openRecipients.set((await count()).openRecipients))
  metrics.oldest.whenRead(async () => {
    for (const [waiting, seconds] of await oldestReady()) metrics.oldest.set({ waiting }, seconds)
  })
  return {
    recorded(all) {
      for (const { kind } of all) statuses.inc({ kind })
    },
    freed: (records) => freed.inc(records),
    reported: (kind) => reports.inc({ kind }),
    read: (outcome) => incoming.inc({ outcome }),
    passed(result) {
      looked.inc({ finding: 'found' }, result.found)
      looked.inc({ finding: 'suspect' }, result.suspects)
      looked.inc({ finding: 'republished' }, result.republished)
      looked.inc({ finding: 'recordMissing' }, result.recordMissing.length)
    },
    scanned(records, seconds) {
      scanned.set(records)
      scanSeconds.set(seconds)
    },
    censused: (census) => missing.inc(census.missing),
    balanced({ differences }) {
      for (const [of, recipients] of Object.entries(differences)) difference.set({ of }, recipients)
    },
    leading(leads) {
      leading.set(leads ? 1 : 0)
      // Whoever leads next says how it is.
      if (!leads) for (const told of [scanned, scanSeconds, difference]) told.reset()
    },
  }
}

/** The last answer until it is that old; a failure is not kept. */
function atMostEvery<T>(everyMs: number, ask: () => Promise<T>): () => Promise<T> {
  let last: { at: number; answer: Promise<T> } | undefined
  return () => {
    const now = performance.now()
    if (last === undefined || now - last.at >= everyMs) {
      const answer = ask()
      const asked = { at: now, answer }
      last = asked
      answer.catch(() => {
        if (last === asked) last = undefined
      })
    }
    return last.answer
  }
}
