/**
 * One pass over the delivery reports that came in: each is read from its record, tied to the message of ours it is about, and
 * noted there; the same commit says that it was read. Dying before that reads it again, and noting it again changes nothing.
 * Until it was read its record is kept.
 */
import { type MailAccepted, QueueId } from '@postbus/contracts'
import { readReport, type ReceivedReport } from '@postbus/dsn'
import { CorruptRecord, NoSuchRecord, type SpoolReader } from '@postbus/spool'

import { type Books, type BooksWriter, type MessagePage, type Note, Superseded } from '../tracking/books.ts'
import { notesOf } from './notes-of.ts'

/** `tied`: noted at a message of ours; `unrelated`: about none we know; `unreadable`: no report in it, or no record. */
export type ReadOutcome = 'tied' | 'unrelated' | 'unreadable'

export interface ReadReportsPorts {
  books: Pick<Books, 'unreadReports' | 'find' | 'findMessages'>
  writer: Pick<BooksWriter, 'readReport'>
  spool: Pick<SpoolReader, 'open'>
  /** After the commit. `about`: the message it was noted at. */
  read(report: QueueId, outcome: ReadOutcome, about: QueueId | null): void
  /** It will be tried again. */
  failed(report: QueueId, error: unknown): void
}

export interface ReadReportsLimits {
  /** Reports looked for at once. */
  page: number
  /** Octets of a report that are read. */
  maxBytes: number
  /** Notes kept of one recipient. */
  laterReports: number
}

/** Messages one report may be about, by each sign: more than one only where a sign is ambiguous. */
const MAX_CANDIDATES = 10

export async function readReports(
  ports: ReadReportsPorts,
  limits: ReadReportsLimits,
  signal: AbortSignal,
): Promise<void> {
  for (let after: QueueId | null = null; ;) {
    const page: QueueId[] = await ports.books.unreadReports(after, limits.page)
    for (const queueId of page) {
      signal.throwIfAborted()
      try {
        await readOne(ports, limits, queueId)
      } catch (error) {
        if (error instanceof Superseded) throw error
        ports.failed(queueId, error)
      }
    }
    after = page.at(-1) ?? null
    if (page.length < limits.page || after === null) return
  }
}

async function readOne(ports: ReadReportsPorts, limits: ReadReportsLimits, queueId: QueueId): Promise<void> {
  const opened = await openReport(ports.spool, queueId, limits.maxBytes)
  const notes = opened === null ? [] : await tie(ports.books, opened)
  await ports.writer.readReport(queueId, notes, limits.laterReports)
  const [first] = notes
  ports.read(queueId, opened === null ? 'unreadable' : first ? 'tied' : 'unrelated', first?.queueId ?? null)
}

interface Opened {
  report: ReceivedReport
  carrier: MailAccepted
}

async function openReport(
  spool: ReadReportsPorts['spool'],
  queueId: QueueId,
  maxBytes: number,
): Promise<Opened | null> {
  try {
    const record = await spool.open(queueId)
    try {
      const pieces: Buffer[] = []
      let size = 0
      for await (const piece of record.read()) {
        pieces.push(Buffer.from(piece))
        size += piece.length
        if (size >= maxBytes) break
      }
      const report = readReport(Buffer.concat(pieces).subarray(0, maxBytes))
      return report === undefined ? null : { report, carrier: record.accepted }
    } finally {
      await record.close()
    }
  } catch (error) {
    // Then nobody will ever read it.
    if (error instanceof NoSuchRecord || error instanceof CorruptRecord) return null
    throw error
  }
}

/** The first message with a recipient the report can be about: by our own id in the returned header, then by Message-ID. */
async function tie(books: ReadReportsPorts['books'], { report, carrier }: Opened): Promise<Note[]> {
  for await (const page of candidates(books, report, carrier)) {
    const notes = notesOf(report, carrier, page)
    if (notes.length > 0) return notes
  }
  return []
}

async function* candidates(
  { find, findMessages }: ReadReportsPorts['books'],
  { original: { receivedIds, messageId } }: ReceivedReport,
  { queueId }: MailAccepted,
): AsyncGenerator<MessagePage> {
  const seen = new Set<QueueId>([queueId])
  const byId = receivedIds.flatMap((id) => QueueId.safeParse(id).data ?? []).slice(0, MAX_CANDIDATES)
  const byMessageId = messageId === undefined ? [] : await findMessages({ messageId }, MAX_CANDIDATES)
  for (const id of [...byId, ...byMessageId.map(({ entry }) => entry.queueId)]) {
    if (seen.has(id)) continue
    seen.add(id)
    const page = await find(id)
    if (page !== null) yield page
  }
}
