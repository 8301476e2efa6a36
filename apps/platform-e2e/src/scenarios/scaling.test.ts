/** Services scaled up, to none and up again under load, the others unchanged: nothing is lost, nothing comes twice. */
import { test } from 'node:test'

import { PROFILE } from '../platform.ts'
import { keepPromises, long, platformUnderLoad, type Fault } from '../under-load.ts'

const ONCE = [4, 0, 2]
const STEPS = long ? [...ONCE, ...ONCE] : ONCE

/** Embedded, the mailstore is one: its mailboxes are a file of one process. */
const SCALED = PROFILE === 'scale-out' ? ['router', 'delivery', 'mailstore', 'imap'] : ['router', 'delivery', 'imap']
/** Each in a run of its own; short: the first. */
const runs = long ? SCALED : SCALED.slice(0, 1)

for (const service of runs) {
  test(`${service} scaled 1 → 4 → 0 → 2 under load: nothing is missing, nothing stands twice`, async (t) => {
    const scaled = STEPS.map(
      (count): Fault =>
        (platform) =>
          platform.scale({ [service]: count }),
    )
    const it = await platformUnderLoad(t, {}, { args: ['--replicas', `${service}=1`] })
    await keepPromises(t, it, { faults: scaled, messages: long ? 6000 : 500 })
  })
}
