/** Books and a spool on disk, a bus that remembers what it was given, and a custody that can die between any two steps. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { MailAccepted, type QueueId } from '@postbus/contracts'
import { openSpoolKeeper, openSpoolReader, openSpoolWriter } from '@postbus/spool'
import { temporaryDatabase } from '@postbus/sql'

import { migrations } from '../src/adapters/storage/migrations.ts'
import { sqlBooks } from '../src/adapters/storage/sql-books.ts'
import type { Tables } from '../src/adapters/storage/tables.ts'
import { freeRecords } from '../src/ending/free-records.ts'
import { reportPass, type ReportPassPorts } from '../src/report/report-pass.ts'
import type { BooksWriter } from '../src/tracking/books.ts'
import { finalOf, local, routedOf, statusOf, time } from './samples.ts'

/** The kernel's work, as custody sees it. */
export class Killed extends Error {}

export interface Death {
  /** The step it dies at, counted from the start of the life. */
  step: number
  /** Whether the step still happens. */
  after: boolean
}

export async function reportWorld(t: TestContext, times: { gatherMs?: number; delayMs?: number } = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-reports-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const clock = { minutes: 10 }
  const now = (): Date => new Date(time(clock.minutes))
  const db = await temporaryDatabase<Tables>(t, migrations)
  const options = {
    overdueMs: 600_000,
    gatherMs: 120_000,
    delayMs: 3_600_000,
    historyKept: 6,
    ...times,
    now: () => now().getTime(),
  }
  const books = sqlBooks(db, options)
  const spoolWriter = await openSpoolWriter(dir, { writerName: 'test', minFreeBytes: 0 })
  const reader = await openSpoolReader(dir)
  const keeper = await openSpoolKeeper(dir, { onDamage: () => {} })
  t.after(async () => {
    await spoolWriter.close()
    await reader.close()
    await keeper.close()
  })
  const published: MailAccepted[] = []
  const failures: unknown[] = []
  const unreadable: QueueId[] = []
  let revision = 0
  let writer = await books.lead(++revision)

  async function read(queueId: QueueId): Promise<Buffer> {
    const record = await reader.open(queueId)
    try {
      return Buffer.concat(await Array.fromAsync(record.read()))
    } finally {
      await record.close()
    }
  }

  /** One life of custody: a pass, cut off at `death`. @returns whether it lived to the end */
  async function live(death?: Death): Promise<boolean> {
    writer = await books.lead(++revision)
    const dying = new AbortController()
    let step = 0
    const fragile =
      <Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) =>
      async (...args: Args): Promise<Result> => {
        if (dying.signal.aborted) throw new Killed()
        const dies = death?.step === step++
        if (dies && !death.after) {
          dying.abort(new Killed())
          throw new Killed()
        }
        const result = await work(...args)
        if (dies) dying.abort(new Killed())
        if (dying.signal.aborted) throw new Killed()
        return result
      }
    const of = <Name extends keyof ReportPassPorts['writer']>(name: Name): BooksWriter[Name] =>
      // The method of that name, with its own types.
      fragile(writer[name].bind(writer) as (...args: unknown[]) => Promise<unknown>) as BooksWriter[Name]
    const ports: ReportPassPorts = {
      writer: {
        hasNews: of('hasNews'),
        planReports: of('planReports'),
        plannedReports: of('plannedReports'),
        postponeReport: of('postponeReport'),
        reported: of('reported'),
      },
      spool: {
        async open(queueId) {
          const record = await reader.open(queueId)
          try {
            await fragile(async () => {})()
            return record
          } catch (error) {
            await record.close()
            throw error
          }
        },
        putIfAbsent: fragile((...put) => spoolWriter.putIfAbsent(...put)),
      },
      isKnown: fragile((queueId) => books.isKnown(queueId)),
      publish: fragile(async (event) => void published.push(MailAccepted.schema.parse(event))),
      names: fragile(async () => ({ from: `MAILER-DAEMON@life${revision}.test`, reportingMta: 'mail.example.org' })),
      now,
      unreadable: (queueId) => void unreadable.push(queueId),
      sent: () => {},
      failed: (_, error) => void failures.push(error),
    }
    try {
      await reportPass(ports, { page: 8, againMs: 60_000 }, dying.signal)
      return true
    } catch (error) {
      if (error instanceof Killed) return false
      throw error
    }
  }

  return {
    ...{ clock, books, published, failures, unreadable, spoolWriter, reader, keeper, read, live },
    writer: () => writer,
    record: (...statuses: Parameters<BooksWriter['record']>) => writer.record(...statuses),
    /** A message in the spool, with its routing in the books: all recipients local. */
    async accept(accepted: MailAccepted, names: string[], body = 'Subject: x\r\n\r\nhello\r\n'): Promise<MailAccepted> {
      const put = await spoolWriter.put(
        accepted.queueId,
        (async function* () {
          yield Buffer.from(body)
        })(),
        (size) => MailAccepted.schema.parse({ ...accepted, size }),
      )
      await writer.record(
        names.map((name, original) => routedOf(put, [finalOf(name, local, put.envelope.reversePath)], { original })),
      )
      return put
    },
    /** Everything published reaches its mailbox, and the books hear of it. */
    async deliver(): Promise<void> {
      for (const event of published) {
        await writer.record([
          routedOf(event, [finalOf('smith', local, '')]),
          statusOf(event.queueId, 'smith', 'delivered'),
        ])
      }
    },
    free: () => freeRecords({ writer, free: (ids) => keeper.free(ids), now }, 10, new AbortController().signal),
    reports: () => new Set(published.map(({ queueId }) => queueId)),
  }
}
