/** DNS through Node's resolver (c-ares), which asks the name servers the system names. */
import { Resolver } from 'node:dns/promises'

import type { DnsPorts } from '../attempt/destination.ts'

const TRIES = 3

/** @param servers `host:port` list instead of the system's. */
export function dnsOver(servers: readonly string[], timeoutMs: number): DnsPorts {
  const resolver = new Resolver({ timeout: timeoutMs, tries: TRIES })
  if (servers.length > 0) resolver.setServers(servers)
  return {
    async mx(domain) {
      const records = await known(() => resolver.resolveMx(domain))
      if (records.kind === 'answer')
        return records.value.map(({ priority, exchange }) => ({ preference: priority, exchange }))
      if (records.kind === 'noData') return []
      return null
    },
    async addresses(host) {
      const [four, six] = await Promise.allSettled([
        known(() => resolver.resolve4(host)),
        known(() => resolver.resolve6(host)),
      ])
      const found = [four, six].flatMap(({ status, ...answer }) =>
        status === 'fulfilled' && 'value' in answer && answer.value.kind === 'answer' ? answer.value.value : [],
      )
      // One family that cannot be looked up does not spoil the other; but "none" must have been said for both.
      if (found.length === 0) for (const answer of [four, six]) if (answer.status === 'rejected') throw answer.reason
      return found
    },
  }
}

type Answer<T> = { kind: 'answer'; value: T } | { kind: 'noData' } | { kind: 'noName' }

/** What DNS says for sure. Everything else (SERVFAIL, REFUSED, no answer) is thrown: it is temporary. */
async function known<T>(ask: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { kind: 'answer', value: await ask() }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENODATA') return { kind: 'noData' }
    if (code === 'ENOTFOUND') return { kind: 'noName' }
    throw error
  }
}
