/**
 * A DNS server that is silent, lies, answers for others, cuts answers short or refuses: mail for the domains it does so for waits,
 * nothing is failed for it, and mail for all other domains goes on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startDnsServer, type DnsFault, type DnsServer } from '@postbus/testkit'

import { until } from '../platform.ts'
import { keepPromises, long, metric, platformUnderLoad, type Fault, type UnderLoad } from '../under-load.ts'

const ZONE = `
far.test. 1 MX 10 mx.far.test.
mx.far.test. 1 A 127.0.0.1
near.test. 1 MX 10 mx.near.test.
mx.near.test. 1 A 127.0.0.1
`
const FAULTS: readonly DnsFault[] = ['silent', 'servfail', 'forged', 'garbage', 'wrongQuestion', 'refused', 'truncate']
const ROUNDS = long ? 3 : 1
/** So many come to another domain meanwhile. */
const FLOWS = long ? 50 : 10
const FLOWS_MS = 180_000

const relayedTo = ({ sink }: UnderLoad, domain: string): number =>
  sink.messages.filter(({ recipients }) => recipients.some(({ forwardPath }) => forwardPath.endsWith(`@${domain}`)))
    .length

/** The sink's own names are asked for as well: both must be wrong for the domain to be out of reach. */
function faulty(dns: DnsServer, fault: DnsFault | null): void {
  for (const name of ['far.test', 'mx.far.test']) dns.fault(name, fault)
}

const misbehaves =
  (it: () => UnderLoad, dns: DnsServer, fault: DnsFault): Fault =>
  async (_platform, load) => {
    faulty(dns, fault)
    const before = relayedTo(it(), 'near.test')
    try {
      await until(
        () => relayedTo(it(), 'near.test') >= before + FLOWS || load.over(),
        FLOWS_MS,
        () => `with ${String(fault)} for one domain, mail for another stands still`,
      )
    } finally {
      faulty(dns, null)
    }
  }

test('a DNS server that lies, hangs or truncates: mail for those domains waits, the rest flows, nothing fails', async (t) => {
  const dns = await startDnsServer(t, ZONE)
  const it = await platformUnderLoad(t, (sink) => ({
    ...{ DELIVERY_SMARTHOST: '', DELIVERY_PORT: String(sink.port), DNS_SERVERS: dns.address },
    ...{ DNS_TIMEOUT_MS: '300', DNS_ROUNDS: '1', DNS_CACHE_MIN_MS: '0', DNS_CACHE_MAX_MS: '200' },
  }))
  const faults = Array.from({ length: ROUNDS }, () => FAULTS.map((fault) => misbehaves(() => it, dns, fault))).flat()
  const { reports } = await keepPromises(t, it, {
    ...{ faults, messages: long ? 3000 : 1000, domains: ['far.test', 'near.test'] },
  })
  const outcomes = await Promise.all(
    ['deferred', 'failed', 'expired'].map((outcome) =>
      metric(it.platform, 'delivery', `mail_delivery_attempts_total{outcome="${outcome}"}`),
    ),
  )
  t.diagnostic(`attempts deferred ${outcomes[0]}, failed ${outcomes[1]}, expired ${outcomes[2]}; ${reports} reports`)
  assert.ok((outcomes[0] ?? 0) > 0, 'no fault was noticed')
  assert.deepEqual([...outcomes.slice(1), reports], [0, 0, 0])
})
