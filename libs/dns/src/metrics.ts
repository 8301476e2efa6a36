/** What a service counts of its questions to DNS. */
import { Counter, Histogram, type Registry } from 'prom-client'

import type { DnsOptions } from './resolver.ts'

/** Reasons that are counted by name; a peer's others, of which there may be many, as `other`. */
const REASONS = new Set([
  'timeout',
  'malformed',
  'referral',
  'SERVFAIL',
  'REFUSED',
  'FORMERR',
  'NOTIMP',
  'ECONNREFUSED',
])

/** @param app the service's name: `mail_<app>_dns_…` */
export function dnsMetrics(registry: Registry, app: string): Required<Pick<DnsOptions, 'asked' | 'failed'>> {
  const registers = [registry]
  /** type: A, AAAA, MX, …; outcome: answer, noData, noName, unavailable; cached: yes, no */
  const questions = new Counter({
    name: `mail_${app}_dns_questions_total`,
    help: 'DNS questions by type and outcome',
    labelNames: ['type', 'outcome', 'cached'],
    registers,
  })
  const seconds = new Histogram({
    name: `mail_${app}_dns_seconds`,
    help: 'Time until a DNS question that was not kept was answered',
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 5, 15, 30],
    registers,
  })
  /** reason: timeout, malformed, referral, SERVFAIL, REFUSED, FORMERR, NOTIMP, ECONNREFUSED, other */
  const failures = new Counter({
    name: `mail_${app}_dns_failures_total`,
    help: 'Tries of a DNS question that one server did not answer, by reason',
    labelNames: ['reason'],
    registers,
  })
  return {
    asked({ type, outcome, cached, elapsedMs }) {
      questions.inc({ type, outcome, cached: cached ? 'yes' : 'no' })
      if (!cached) seconds.observe(elapsedMs / 1000)
    },
    failed: ({ reason }) => failures.inc({ reason: REASONS.has(reason) ? reason : 'other' }),
  }
}
