/** What keeps a question from being answered. The name may exist or not: neither of these says so. */

/** One server's failure to answer one question. */
export interface ServerFailure {
  /** `address:port`. */
  server: string
  /** `SERVFAIL` and the other codes of RFC 1035 §4.1.1, `timeout`, `malformed`, `referral`, or a system's code as `ECONNREFUSED`. */
  reason: string
}

/** No server could tell, or what they tell leads nowhere. Temporary: asked later it may be answered. */
export class DnsUnavailable extends Error {
  override readonly name = 'DnsUnavailable'
  /** In the order of asking; empty when the reason is in no single server. */
  readonly failures: readonly ServerFailure[]

  constructor(message: string, failures: readonly ServerFailure[] = [], options?: ErrorOptions) {
    super(message, options)
    this.failures = failures
  }
}

/** A text that no DNS question can carry: an empty or overlong label or name, or octets that are not visible ASCII. */
export class InvalidName extends Error {
  override readonly name = 'InvalidName'
}

/** A message that is not DNS, or not sound. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage'
}
