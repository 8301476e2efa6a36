/** Services scaled up, to none and up again under load, the others unchanged: nothing is lost, nothing comes twice. */
import { test } from 'node:test'

import { keepPromises, long, platformUnderLoad, type Fault } from '../under-load.ts'
import { PROFILE } from '../platform.ts'

const STEPS = [4, 0, 2]

/** Embedded, the mailstore is one: its mailboxes are a file of one process. */
const SCALED = PROFILE === 'scale-out' ? ['router', 'delivery', 'mailstore', 'imap'] : ['router', 'delivery', 'imap']
/** Short: two in one run; long: a run of its own for each. */
const runs = long ? SCALED.map((service) => [service]) : [SCALED.slice(0, 2)]

for (const services of runs) {
  test(`${services.join(', then ')} scaled 1 → 4 → 0 → 2 under load: nothing is missing, nothing stands twice`, async (t) => {
    const scaled = services.flatMap((service) =>
      STEPS.map(
        (count): Fault =>
          (platform) =>
            platform.scale({ [service]: count }),
      ),
    )
    const it = await platformUnderLoad(
      t,
      {},
      { args: ['--replicas', services.map((service) => `${service}=1`).join()] },
    )
    await keepPromises(t, it, { faults: scaled, messages: long ? 6000 : 600 })
  })
}
