/** In whose name reports are written: our host, and the daemon of the primary domain, which the directory knows. */
import type { Bus } from '@postbus/bus'
import { localDomains } from '@postbus/contracts'

import type { ReporterNames } from '../report/plan.ts'

const KEEP_MS = 300_000

/** What was known stays good while the directory is silent; before its first answer nothing is. */
export function reporterNames(bus: Pick<Bus, 'request'>, hostname: string): () => Promise<ReporterNames> {
  let known: { names: ReporterNames; at: number } | undefined
  return async () => {
    const at = performance.now()
    if (known && at - known.at < KEEP_MS) return known.names
    try {
      const { domains } = await bus.request(localDomains, {})
      const from = `Mail Delivery System <MAILER-DAEMON@${domains[0] ?? hostname}>`
      known = { names: { from, reportingMta: hostname }, at }
    } catch (error) {
      if (known === undefined) throw error
    }
    return known.names
  }
}
