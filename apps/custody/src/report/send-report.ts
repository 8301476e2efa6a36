/**
 * From a committed plan to a report in custody: its record, its publication, the note that both are done. Each step may happen
 * twice and then changes nothing: the record is put under the plan's queue id if absent, the publication has its message id
 * from it, and until the note nobody frees the record.
 */
import type { MailAccepted, QueueId } from '@postbus/contracts'
import { composeReport } from '@postbus/dsn'
import { CorruptRecord, NoSuchRecord, type SpoolReader, type SpoolWriter } from '@postbus/spool'

import type { BooksWriter } from '../tracking/books.ts'
import { acceptedReport, factsOf } from './facts.ts'
import type { ReportPlan } from './plan.ts'

export interface SendPorts {
  spool: Pick<SpoolReader, 'open'> & Pick<SpoolWriter, 'putIfAbsent'>
  writer: Pick<BooksWriter, 'reported'>
  /** Whether the books have a page of this message: then it was published, or will be by reconciliation. */
  isKnown(queueId: QueueId): Promise<boolean>
  publish(event: MailAccepted): Promise<void>
  now(): Date
  /** The message to be returned cannot be read; the report goes without it. */
  unreadable(queueId: QueueId, error: unknown): void
}

export async function sendReport(ports: SendPorts, plan: ReportPlan, signal: AbortSignal): Promise<void> {
  const accepted = await putReport(ports, plan)
  // A lease lost meanwhile: the successor has this plan in its hands.
  signal.throwIfAborted()
  if (!(await ports.isKnown(plan.queueId))) await ports.publish(accepted)
  await ports.writer.reported(plan, accepted, ports.now())
}

async function putReport(ports: SendPorts, plan: ReportPlan): Promise<MailAccepted> {
  const facts = factsOf(plan)
  const { queueId } = plan.entry
  try {
    const record = await ports.spool.open(queueId)
    try {
      const report = composeReport(facts, record.read())
      return await ports.spool.putIfAbsent(plan.queueId, report.octets, (size) => acceptedReport(plan, report, size))
    } finally {
      await record.close()
    }
  } catch (error) {
    if (!(error instanceof NoSuchRecord || error instanceof CorruptRecord)) throw error
    // The sender must hear of it all the same: RFC 6522 §3 lets the third part be left out, so an empty header stands there.
    ports.unreadable(queueId, error)
    const original = { ...facts.original, ret: 'HDRS' as const }
    const report = composeReport({ ...facts, original }, [])
    return await ports.spool.putIfAbsent(plan.queueId, report.octets, (size) => acceptedReport(plan, report, size))
  }
}
