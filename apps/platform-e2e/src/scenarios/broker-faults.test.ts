/**
 * The broker is stopped, is away, and forgets everything: what was answered with 250 arrives all the same, because the bus never
 * has the only copy.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { MailAccepted, MailStatus } from '@postbus/contracts'

import { messagesIn } from '../books.ts'
import { type Platform, PROFILE, until } from '../platform.ts'
import { keepPromises, long, platformUnderLoad, republished, type Fault } from '../under-load.ts'

const HUNG_MS = long ? 15_000 : 4000
const AWAY_MS = long ? 60_000 : 6000
/** Messages taken meanwhile, whose work, or news, is on the bus when it is lost. */
const GATHERED = 20
/** So many of them at least are confirmed by then: the others are published again by who took them. */
const CONFIRMED = 5
const GATHER_MAX_MS = 180_000

const times = (count: number, fault: Fault): Fault[] => Array.from({ length: count }, () => fault)

/** SIGSTOP: connections stay open and nothing answers. */
async function hung(platform: Platform): Promise<void> {
  const { pids } = platform.ready()
  const pid = pids['nats'] ?? assert.fail('no broker')
  process.kill(pid, 'SIGSTOP')
  await pause(HUNG_MS)
  process.kill(pid, 'SIGCONT')
}

/** Killed whenever it comes back. */
async function away(platform: Platform): Promise<void> {
  const until = Date.now() + AWAY_MS
  while (Date.now() < until) await platform.kill('nats')
}

/**
 * Its files are gone while it runs; then it is killed, and begins with nothing. Services that stand still meanwhile leave their
 * work, or their news, where it is lost.
 */
const forgetful =
  (...still: string[]): Fault =>
  async (platform, load) => {
    const { pids, data, bus } = platform.ready()
    const streams = [MailAccepted.stream.name, MailStatus.stream.name]
    const onTheBus = (): Promise<number | null> => messagesIn({ data, bus }, streams).catch(() => null)
    // What it forgot in the fault before is made anew by a service that may be among those that stand still.
    await until(async () => (await onTheBus()) !== null, GATHER_MAX_MS, platform.output)
    const before = load.accepted()
    const stopped = still.map((service) => pids[service] ?? assert.fail(`no ${service}`))
    for (const pid of stopped) process.kill(pid, 'SIGSTOP')
    try {
      await until(
        async () => load.over() || (load.accepted() >= before + GATHERED && ((await onTheBus()) ?? 0) >= CONFIRMED),
        GATHER_MAX_MS,
        () => `${load.accepted() - before} messages taken\n${platform.output()}`,
      )
      const files = join(data, 'nats', 'jetstream')
      const gone = `${files}.${randomUUID()}`
      await rename(files, gone)
      await platform.kill('nats')
      await rm(gone, { recursive: true })
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT')
    }
  }

/** A cluster forgets nothing with one of its servers: its faults are tested in libs/bus. */
const FORGETS = PROFILE === 'embedded'

/** Long: a run of its own for each; short: one run with everything in turn. */
const runs: { name: string; faults: Fault[] }[] = long
  ? [
      { name: 'hangs, and is away for a minute', faults: [...times(4, hung), away] },
      { name: 'forgets everything', faults: times(5, forgetful('router', 'delivery', 'mailstore')) },
      { name: 'forgets what was handed over, unread by custody', faults: times(5, forgetful('custody')) },
    ]
  : [
      {
        name: 'hangs, is away and forgets everything',
        faults: [hung, away, forgetful('router', 'delivery', 'mailstore'), forgetful('custody')],
      },
    ]

for (const { name, faults } of FORGETS ? runs : [{ name: 'hangs and is away', faults: [hung, away] }]) {
  test(`a broker that ${name}: no promised message is missing, and none comes twice`, async (t) => {
    const it = await platformUnderLoad(t)
    const messages = long ? 3000 : 1200
    // A broker forgets nothing when everything was delivered before: while it is away, all that is left may be taken.
    const { twiceAtTheSink } = await keepPromises(t, it, { faults, messages, before: messages / 2 })
    // Nobody of the services died: what was handed over is in the ledger, whatever became of the news of it.
    assert.equal(twiceAtTheSink, 0)
    if (name.includes('forgets')) assert.ok((await republished(it.platform)) > 0, 'nothing was published again')
  })
}
