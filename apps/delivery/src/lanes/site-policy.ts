/** What may be done to one site: which tasks are its, and its limits. Asked for every task, so that a change counts at once. */
export interface SitePolicy {
  /** Tasks with the same key share the site's limits, its turns and its breaker. */
  key: string
  /** Transactions at once. Default: the scheduler's. */
  concurrency?: number
  /** Transactions begun per minute. Default: no limit. */
  perMinute?: number
  /** Recipients of one transaction. Default: the scheduler's. */
  maxRecipients?: number
}

/**
 * The part of the limits that is one replica's, for a site whose tasks are in lanes of many owners (a smarthost). Never less
 * than one transaction at once: with more replicas than transactions the limit cannot be kept.
 */
export function shareOf(policy: SitePolicy & { concurrency: number }, replicas: number): SitePolicy {
  return {
    ...policy,
    concurrency: Math.max(1, Math.floor(policy.concurrency / replicas)),
    ...(policy.perMinute !== undefined && { perMinute: policy.perMinute / replicas }),
  }
}
