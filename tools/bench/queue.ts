/** A queue that is filled while no delivery runs, and then emptied. */
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'

import { smtpLoad } from '@postbus/testkit'

import { type Platform, startPlatform } from './platform.ts'

const LOAD_SESSIONS = 20
const POLL_MS = 100
/** Every answer takes milliseconds of the process that is timed: it is asked again when half of what was left should be done. */
const MAX_POLL_MS = 500
/** The end is known to this: a run may last little more than a second. */
const MIN_POLL_MS = 25

/** Arguments of the start command: nobody is too busy, next hops may be on this machine, and what else is to be set. */
export function settingsOf(...settings: string[]): string[] {
  const all = [
    'DIRECTORY_MESSAGES_PER_HOUR=1000000',
    'DIRECTORY_RECIPIENTS_PER_HOUR=1000000',
    'DELIVERY_ALLOW_PRIVATE=true',
    ...settings,
  ]
  return all.flatMap((setting) => ['--set', setting])
}

export interface Load {
  /** One for each message, in turn. */
  recipients: string[]
  messages: number
  bytes: number
}

/** @param prepare what is done before the first message is submitted */
export async function fill(
  data: string,
  settings: readonly string[],
  { recipients, messages, bytes }: Load,
  prepare: (platform: Platform) => Promise<void> = async () => {},
): Promise<void> {
  const platform = await startPlatform(data, [...settings, '--replicas', 'delivery=0'])
  try {
    await prepare(platform)
    const { host, ports, accounts, ca } = platform.ready
    const [account] = accounts
    if (account === undefined) throw new Error('the platform has no account')
    const { promised, refusals } = await smtpLoad({
      host,
      port: ports['submissions'] ?? 0,
      ...{ recipients, messages, bytes, sessions: LOAD_SESSIONS, ledger: null },
      login: { user: account.address, password: account.password, ca: await readFile(ca, 'utf8') },
    })
    if (promised.size !== messages)
      throw new Error(`only ${promised.size} were taken: ${JSON.stringify([...refusals])}`)
  } finally {
    await platform.stop()
  }
}

export interface Drained {
  /** Messages per second, from the first seen to leave to the last. */
  rate: number
  /** Tasks for which there was no room soon. */
  spilled: number
  /** Tasks whose site was left alone. */
  suspended: number
}

/** @param messages as many as will leave */
export async function drain(data: string, args: readonly string[], messages: number): Promise<Drained> {
  const platform = await startPlatform(data, args)
  try {
    let first: { at: number; count: number } | undefined
    for (;;) {
      const { relayed, spilled, suspended } = await platform.outbound()
      const at = performance.now()
      if (relayed > 0) first ??= { at, count: relayed }
      if (first && relayed >= messages) {
        return { rate: ((relayed - first.count) / (at - first.at)) * 1000, spilled, suspended }
      }
      const done = relayed - (first?.count ?? 0)
      const next = done > 0 && first ? ((messages - relayed) / done) * (at - first.at) * 0.5 : POLL_MS
      await pause(Math.max(MIN_POLL_MS, Math.min(MAX_POLL_MS, next)))
    }
  } finally {
    await platform.stop()
  }
}
