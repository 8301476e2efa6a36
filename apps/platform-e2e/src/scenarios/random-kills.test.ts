/** kill -9 of any services, several at once, the broker among them: moments and victims drawn from the seed. */
import { test } from 'node:test'

import { between, seeded, type Draw } from '@postbus/testkit'

import { keepPromises, long, platformUnderLoad, SEED, type Fault } from '../under-load.ts'

const SERVICES = ['inbound', 'router', 'mailstore', 'custody', 'directory', 'delivery', 'submission', 'imap', 'pop3']
const MOST_AT_ONCE = 4

/** One to four of them, never the same twice. */
function drawn(draw: Draw): string[] {
  const left = [...SERVICES, 'nats']
  return Array.from({ length: between(draw, 1, MOST_AT_ONCE) }, () =>
    left.splice(between(draw, 0, left.length - 1), 1),
  ).flat()
}

test('kill -9 of several at once, at random: no promised message is missing, none stands twice', async (t) => {
  const draw = seeded(SEED)
  const victims = Array.from({ length: long ? 20 : 6 }, () => drawn(draw))
  t.diagnostic(`killed: ${victims.map((group) => group.join('+')).join(', ')}`)
  const faults = victims.map(
    (group): Fault =>
      async (platform) =>
        void (await Promise.all(group.map((victim) => platform.kill(victim)))),
  )
  await keepPromises(t, await platformUnderLoad(t), { faults, messages: long ? 4000 : 1200 })
})
