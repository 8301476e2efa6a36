/** What a service counts of its questions to DNS. */
import { counter, histogram, type MetricsRegistry, openMetrics, seen } from '@postbus/metrics'

import type { DnsOptions } from './resolver.ts'

const reasons = [
  'timeout',
  'malformed',
  'referral',
  'SERVFAIL',
  'REFUSED',
  'FORMERR',
  'NOTIMP',
  'ECONNREFUSED',
  'other',
] as const
type Reason = (typeof reasons)[number]

export const dnsTable = {
  questions: counter('mail_dns_questions_total', 'DNS questions; a name of several steps is several questions.', {
    type: seen('A, AAAA, MX, TLSA, TXT, PTR'),
    outcome: seen<'answer' | 'noData' | 'noName' | 'unavailable'>('answer, noData, noName, unavailable'),
    cached: seen<'yes' | 'no'>('yes, no'),
  }),
  seconds: histogram(
    'mail_dns_seconds',
    'Time until a DNS question that was not kept was answered.',
    [0.001, 0.005, 0.02, 0.1, 0.5, 2, 5, 15, 30],
  ),
  failures: counter('mail_dns_failures_total', 'Tries of a DNS question that one server did not answer.', {
    reason: reasons,
  }),
}

/** Reasons that are counted by name; a peer's others, of which there may be many, as `other`. */
const isCounted = (reason: string): reason is Reason => (reasons as readonly string[]).includes(reason)

export function dnsMetrics(registry: MetricsRegistry): Required<Pick<DnsOptions, 'asked' | 'failed'>> {
  const { questions, seconds, failures } = openMetrics(dnsTable, registry)
  return {
    asked({ type, outcome, cached, elapsedMs }) {
      questions.inc({ type, outcome, cached: cached ? 'yes' : 'no' })
      if (!cached) seconds.observe(elapsedMs / 1000)
    },
    failed: ({ reason }) => failures.inc({ reason: isCounted(reason) ? reason : 'other' }),
  }
}
