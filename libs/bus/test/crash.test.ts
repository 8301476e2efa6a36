/** One event that kills every process that handles it, among others that were merely there. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { MailLocal } from '@postbus/contracts'

import { local, platform } from './harness.ts'
import { dead, messagesIn } from './raw.ts'

const mortal = fileURLToPath(new URL('./fixtures/mortal.ts', import.meta.url))

test(
  'the event that kills is found, those beside it are all handled and never declared dead',
  {
    timeout: 180_000,
  },
  async (t) => {
    // Longer than a machine with other suites holds a living process up: what it holds must not count as a death.
    const { nats, bus } = await platform(t, { ackWaitMs: 1500 })
    const router = await bus('router')
    const directory = await mkdtemp(join(tmpdir(), 'postbus-crash-'))
    t.after(() => rm(directory, { recursive: true }))
    const ledger = join(directory, 'ledger')
    await writeFile(ledger, '')
    const deadly = local(3).n
    for (let n = 0; n < 8; n++) await router.publish(MailLocal, local(n))

    let deaths = 0
    while ((await messagesIn(nats, 'MAIL_LOCAL')) > 0) {
      const child = spawn(process.execPath, [mortal, nats.url, nats.seeds.mailstore, ledger, deadly], {
        stdio: ['ignore', 2, 2],
      })
      const exited = once(child, 'exit')
      // It dies, or it has nothing left to do.
      while (child.signalCode === null && (await messagesIn(nats, 'MAIL_LOCAL')) > 0) {
        await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 100))])
      }
      if (child.signalCode === null) child.kill('SIGTERM')
      else deaths++
      await exited
    }

    const copies = await dead(nats)
    assert.deepEqual(
      copies.map(({ reason, id }) => `${reason} ${id.split('.')[1]}`),
      [`crash ${deadly}`],
    )
    assert.equal(deaths, 6, 'three in company, three alone')
    const done = new Set(readFileSync(ledger, 'utf8').match(/(?<=done )\w+/g))
    assert.deepEqual(done, new Set([0, 1, 2, 4, 5, 6, 7].map((n) => local(n).n)))
  },
)
