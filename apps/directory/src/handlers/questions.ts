/**
 * What services ask about addresses, accounts and domains: resolve, checkSender, spendSending, describeAccount, localDomains,
 * signingKeys, transports.
 */
import type { Stoppable } from '@postbus/bus'
import {
  checkSender,
  describeAccount,
  localDomains,
  resolveAddresses,
  signingKeys,
  spendSending,
  transports,
} from '@postbus/contracts'

import { deniedSenders } from '../addresses/check-sender.ts'
import { formatName } from '../addresses/names.ts'
import { resolveAddresses as resolve, type ResolveSettings } from '../addresses/resolve.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import { Refusal } from '../refusal.ts'
import type { SpendAnswer } from '../sending/spend.ts'
import type { DirectoryReader } from '../store.ts'
import type { Answer } from './answer.ts'

interface Tools {
  store: DirectoryReader
  settings: ResolveSettings
  spend(account: string, recipients: number): Promise<SpendAnswer>
  metrics: DirectoryMetrics
}

export function answerQuestions(answer: Answer, { store, settings, spend, metrics }: Tools): Promise<Stoppable>[] {
  return [
    answer(resolveAddresses, async ({ addresses }) => {
      // Before the rest: an answer that is newer than its revision is only forgotten too early.
      const revision = await store.revision()
      const resolutions = await resolve(addresses, store, settings)
      for (const { kind } of resolutions) metrics.resolved(kind)
      return { resolutions, revision }
    }),

    answer(checkSender, async ({ account, addresses }) => ({
      denied: await deniedSenders(account, addresses, (asked) => resolve(asked, store, settings)),
    })),

    answer(spendSending, async ({ account, recipients }, { log }) => {
      const spent = await spend(account, recipients)
      if (spent.kind === 'refused') {
        metrics.sendingRefused(spent.limit)
        log.info({ account, limit: spent.limit, recipients, retryAfterMs: spent.retryAfterMs }, 'sending limit reached')
      }
      return spent
    }),

    answer(describeAccount, async ({ account }) => {
      const record = await store.account(account)
      if (record === undefined) throw new Refusal('noSuchAccount', `account: ${account} does not exist`)
      return { account, address: formatName(record), quotaBytes: record.quotaBytes, enabled: record.enabled }
    }),

    answer(localDomains, async () => ({ domains: await store.domainNames() })),

    answer(signingKeys, async ({ domains }) => {
      const keys = await store.activeDkimKeys(domains)
      return {
        keys: keys.map(({ domain, selector, algorithm, privateKey }) => ({ domain, selector, algorithm, privateKey })),
      }
    }),
    answer(transports, async ({ after = '', limit }) => {
      // Before the page: a reader that sees the same revision on every page has seen no half of a change.
      const revision = await store.revision()
      const rows = await store.transportPage(after, limit + 1)
      const page = rows.slice(0, limit).map(({ createdAt: _, ...transport }) => transport)
      return { transports: page, more: rows.length > limit, revision }
    }),
  ]
}
