/**
 * kill -9 of every service and of the broker under load: every message answered with 250 stands in its mailbox exactly once, or
 * has reached the next hop. Transactions whose answer was lost are listed apart: they may have arrived or not (RFC 1047).
 */
import { test } from 'node:test'

import { keepPromises, long, platformUnderLoad, type Fault } from '../under-load.ts'

const victims = ['inbound', 'router', 'mailstore', 'custody', 'directory', 'delivery', 'submission', 'imap', 'nats']
const killed =
  (victim: string): Fault =>
  (platform) =>
    platform.kill(victim)

/** Long: a run of its own for each victim, ten kills in 2,000 messages. Short: all victims in one run. */
const runs: { name: string; faults: Fault[] }[] = long
  ? victims.map((victim) => ({ name: victim, faults: Array.from({ length: 10 }, () => killed(victim)) }))
  : [{ name: 'every service in turn', faults: victims.map(killed) }]

for (const { name, faults } of runs) {
  test(`kill -9 of ${name}: no promised message is missing, none stands twice`, async (t) => {
    await keepPromises(t, await platformUnderLoad(t), { faults, messages: 2000 })
  })
}
