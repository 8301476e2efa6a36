import type { BooksBalance, Status } from '@postbus/contracts'
import { Counter, Gauge, type Registry } from 'prom-client'

import type { ReadOutcome } from './incoming/read-reports.ts'
import type { Census } from './reconcile/census.ts'
import type { PassResult } from './reconcile/pass.ts'
import type { ReportKind } from './report/should-report.ts'
import type { Books } from './tracking/books.ts'

/** Counting a million open recipients takes half a second. */
const COUNT_EVERY_MS = 60_000

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

export function custodyMetrics(registry: Registry, books: Pick<Books, 'count'>): CustodyMetrics {
  const registers = [registry]
  /** kind: as in the contract of mail.status */
  const statuses = new Counter({
    name: 'mail_custody_statuses_total',
    help: 'Statuses entered in the books, repetitions included.',
    labelNames: ['kind'],
    registers,
  })
  const freed = new Counter({ name: 'mail_custody_freed_records_total', help: 'Spool records given back.', registers })
  /** kind: failure, delay, success */
  const reports = new Counter({
    name: 'mail_custody_reports_total',
    help: 'Reports to senders that are in custody, by what they tell.',
    labelNames: ['kind'],
    registers,
  })
  /** outcome: tied, unrelated, unreadable */
  const incoming = new Counter({
    name: 'mail_custody_incoming_reports_total',
    help: 'Delivery reports that came in and were read, by whether they are about a message of ours.',
    labelNames: ['outcome'],
    registers,
  })
  /** finding: found, suspect, republished, recordMissing */
  const looked = new Counter({
    name: 'mail_custody_overdue_total',
    help: 'Overdue messages and recipients looked for, by what was found.',
    labelNames: ['finding'],
    registers,
  })
  const scanned = new Gauge({ name: 'mail_custody_spool_records', help: 'Records seen by the last scan.', registers })
  const scanSeconds = new Gauge({ name: 'mail_custody_scan_seconds', help: 'How long the last scan took.', registers })
  const missing = new Counter({
    name: 'mail_custody_census_missing_total',
    help: 'Open messages and recipients that a comparison with the whole bus did not find there.',
    registers,
  })
  /** of: originals, recipients, merged; set by the replica that leads */
  const difference = new Gauge({
    name: 'mail_custody_books_difference',
    help: 'Recipients accepted minus those the books can account for; 0 while the books balance.',
    labelNames: ['of'],
    registers,
  })
  const leading = new Gauge({ name: 'mail_custody_leading', help: '1 while this replica leads.', registers })
  const openRecipients = new Gauge({
    name: 'mail_custody_open_recipients',
    help: 'Final recipients that have not ended.',
    registers,
  })
  let countAgainAt = 0
  /** phase: open, reportDue, settled, buried */
  new Gauge({
    name: 'mail_custody_messages',
    help: 'Messages whose record is not freed, by phase.',
    labelNames: ['phase'],
    registers,
    async collect() {
      if (performance.now() < countAgainAt) return
      countAgainAt = performance.now() + COUNT_EVERY_MS
      const count = await books.count()
      for (const [phase, messages] of Object.entries(count.phases)) this.set({ phase }, messages)
      openRecipients.set(count.openRecipients)
    },
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
      if (!leads) difference.reset()
    },
  }
}
