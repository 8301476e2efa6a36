/** What may be done to one site: which tasks are its, and its limits. Asked for every task, so that a change counts at once. */
export interface SitePolicy {
  /** Tasks with the same key share the site's limits, its turns and its breaker. */
  key: string
  /** Transactions at once. Default: the scheduler's. */
  concurrency?: number | undefined
  /** Transactions begun per minute. Default: no limit. */
  perMinute?: number | undefined
  /** Recipients of one transaction. Default: the scheduler's. */
  maxRecipients?: number | undefined
  /** Its tasks are in lanes of many owners (a smarthost): each replica keeps a part of the limits. */
  shared?: boolean
}

/**
 * One replica's part of the limits. Never less than one transaction at once: with more replicas than transactions the limit cannot
 * be kept.
 */
export function partOf(policy: SitePolicy, defaultConcurrency: number, replicas: number): SitePolicy {
  if (!policy.shared || replicas === 1) return policy
  return {
    ...policy,
    concurrency: Math.max(1, Math.floor((policy.concurrency ?? defaultConcurrency) / replicas)),
    ...(policy.perMinute !== undefined && { perMinute: policy.perMinute / replicas }),
  }
}
