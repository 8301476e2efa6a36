/** SIGTERM to every service in turn, as a roll-out does: each drains, and nothing is lost or done twice. */
import { test } from 'node:test'

import type { Platform } from '../platform.ts'
import { keepPromises, long, platformUnderLoad, type Fault } from '../under-load.ts'

const ORDER = ['custody', 'directory', 'mailstore', 'router', 'delivery', 'submission', 'inbound', 'imap', 'pop3']
const ROUNDS = long ? 3 : 1

async function restarted(platform: Platform): Promise<void> {
  for (const service of ORDER) {
    await platform.terminate(service)
    await platform.untilReady()
  }
}

test('a rolling restart of everything: no promised message is missing, none stands twice', async (t) => {
  const faults: Fault[] = Array.from({ length: ROUNDS }, () => restarted)
  await keepPromises(t, await platformUnderLoad(t), { faults, messages: long ? 3000 : 1000 })
})
