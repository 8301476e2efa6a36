/** One load, from port 25 into the mailboxes: how fast it went, and what CPU time it took of whom. */
import { smtpLoad } from '@postbus/testkit'

import { cpuSeconds } from './cpu.ts'
import type { Platform } from './platform.ts'
import { median } from './rounds.ts'

const BROKER = /^nats/
const STORE = /^(postgres|s3)$/

export interface Round {
  perSecond: number
  /** Per message, in milliseconds. */
  cpu: Record<'services' | 'brokers' | 'stores', number>
}

/** The same in every round of a benchmark. */
export interface Load {
  messages: number
  sessions: number
  /** Of each message. */
  bytes: number
}

export const loadOptions = {
  messages: { type: 'string', default: '3000' },
  sessions: { type: 'string', default: '50' },
  bytes: { type: 'string', default: '10240' },
} as const

export const loadOf = ({ messages, sessions, bytes }: Record<keyof Load, string>): Load => ({
  messages: Number(messages),
  sessions: Number(sessions),
  bytes: Number(bytes),
})

/** @param round from 1, of this platform: it has delivered so many such loads in the end */
export async function oneRound({ ready, untilDelivered }: Platform, load: Load, round: number): Promise<Round> {
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

/** Medians in a line. */
export function describe(name: string, rounds: readonly Round[]): string {
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
