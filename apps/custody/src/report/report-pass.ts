/** One pass over the reports: plan what has news for somebody, then bring what is planned into custody. */
import { Superseded, type BooksWriter } from '../tracking/books.ts'
import { planReports, type ReporterNames, type ReportPlan } from './plan.ts'
import { sendReport, type SendPorts } from './send-report.ts'

export interface ReportPassPorts extends Omit<SendPorts, 'writer'> {
  writer: Pick<BooksWriter, 'hasNews' | 'planReports' | 'plannedReports' | 'postponeReport' | 'reported'>
  /** In whose name reports are written now. */
  names(): Promise<ReporterNames>
  sent(plan: ReportPlan): void
  /** It will be tried again. */
  failed(plan: ReportPlan, error: unknown): void
}

export interface ReportPassLimits {
  /** Reports planned, and sent, at once. */
  page: number
  /** Until a report that could not be sent is tried again. */
  againMs: number
}

export async function reportPass(
  ports: ReportPassPorts,
  { page, againMs }: ReportPassLimits,
  signal: AbortSignal,
): Promise<void> {
  const { writer, now } = ports
  while (await writer.hasNews(now())) {
    signal.throwIfAborted()
    const names = await ports.names()
    const at = now()
    await writer.planReports(at, page, (due) => planReports(due, at, names))
  }
  for (;;) {
    signal.throwIfAborted()
    const plans = await writer.plannedReports(now(), page)
    await Promise.all(plans.map(send))
    if (plans.length < page) return
  }

  /** One that cannot be sent does not stop the others. */
  async function send(plan: ReportPlan): Promise<void> {
    try {
      await sendReport(ports, plan, signal)
      ports.sent(plan)
    } catch (error) {
      if (signal.aborted || error instanceof Superseded) throw error
      ports.failed(plan, error)
      await writer.postponeReport(plan.queueId, new Date(now().getTime() + againMs))
    }
  }
}
