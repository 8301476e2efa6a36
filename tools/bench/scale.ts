/**
 * What scale-out costs: messages per second from port 25 into the mailboxes, and CPU time per message, with more and more routers and
 * mailstores on the same cores. The embedded profile stands beside it.
 *
 *   npm run bench -- scale --replicas 1,2,4
 */
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { smtpLoad } from '@postbus/testkit'

import { cpuSeconds } from './cpu.ts'
import { startPlatform, type Platform } from './platform.ts'
import { inTemporaryDirectory, median, print } from './rounds.ts'

const BROKER = /^nats/
const STORE = /^(postgres|s3)$/

interface Round {
  perSecond: number
  /** Per message, in milliseconds. */
  cpu: Record<'services' | 'brokers' | 'stores', number>
}

export async function scale(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      messages: { type: 'string', default: '3000' },
      sessions: { type: 'string', default: '50' },
      bytes: { type: 'string', default: '10240' },
      rounds: { type: 'string', default: '3' },
      replicas: { type: 'string', default: '1,2,4' },
      start: { type: 'string', multiple: true, default: [] },
    },
  })
  const load = { messages: Number(values.messages), sessions: Number(values.sessions), bytes: Number(values.bytes) }
  const counts = values.replicas.split(',').map(Number)
  const each = 'custody=1,directory=1,delivery=1,submission=1,inbound=1,imap=1,pop3=1'
  const setups = [
    { name: 'embedded', args: ['--processes'] },
    ...counts.map((count) => ({
      name: `scale-out, ${count} router, ${count} mailstore`,
      args: ['--profile', 'scale-out', '--replicas', `${each},router=${count},mailstore=${count}`, ...values.start],
    })),
  ]
  print(`${load.messages} messages of ${load.bytes} octets, ${load.sessions} sessions, ${values.rounds} rounds each`)
  for (const setup of setups) {
    await inTemporaryDirectory(async (dir) => {
      // PostgreSQL under root runs as somebody else, who must be able to get there.
      await chmod(dir, 0o711)
      const platform = await startPlatform(join(dir, 'data'), setup.args)
      try {
        const rounds: Round[] = []
        for (let round = 1; round <= Number(values.rounds); round++) rounds.push(await oneRound(platform, load, round))
        print(describe(setup.name, rounds))
      } finally {
        await platform.stop()
      }
    })
  }
}

async function oneRound(
  { ready, untilDelivered }: Platform,
  load: { messages: number; sessions: number; bytes: number },
  round: number,
): Promise<Round> {
  const { host, ports, accounts, pids } = ready
  const groups = {
    services: pidsOf(pids, (name) => !BROKER.test(name) && !STORE.test(name)),
    brokers: pidsOf(pids, (name) => BROKER.test(name)),
    stores: pidsOf(pids, (name) => STORE.test(name)),
  }
  const before = await cpuOf(groups)
  const began = performance.now()
  await smtpLoad({
    ...load,
    ...{ host, port: ports.mx, recipients: accounts.map(({ address }) => address), ledger: null },
  })
  await untilDelivered(load.messages * round)
  const seconds = (performance.now() - began) / 1000
  const after = await cpuOf(groups)
  const spent = (group: keyof typeof groups): number => ((after[group] - before[group]) * 1000) / load.messages
  return {
    perSecond: load.messages / seconds,
    cpu: { services: spent('services'), brokers: spent('brokers'), stores: spent('stores') },
  }
}

const pidsOf = (pids: Record<string, number>, which: (name: string) => boolean): number[] => [
  ...new Set(Object.entries(pids).flatMap(([name, pid]) => (which(name) ? [pid] : []))),
]

async function cpuOf(groups: Record<keyof Round['cpu'], readonly number[]>): Promise<Round['cpu']> {
  return {
    services: await cpuSeconds(groups.services),
    brokers: await cpuSeconds(groups.brokers),
    stores: await cpuSeconds(groups.stores),
  }
}

function describe(name: string, rounds: readonly Round[]): string {
  const of = (pick: (round: Round) => number): number => median(rounds.map(pick))
  const parts = (['services', 'brokers', 'stores'] as const).map((group) => ({
    group,
    ms: of(({ cpu }) => cpu[group]),
  }))
  const total = parts.reduce((sum, { ms }) => sum + ms, 0)
  const split = parts.map(({ group, ms }) => `${group} ${ms.toFixed(1)}`).join(', ')
  const rate = of(({ perSecond }) => perSecond).toFixed(0)
  return `  ${name.padEnd(36)} ${rate.padStart(5)} messages/s   ${total.toFixed(1)} ms of CPU each (${split})`
}
