/**
 * How many messages per second leave for one next hop: the queue is filled while no delivery runs, then delivery is started and
 * timed from its first message to its last. DKIM signing is on unless --set says otherwise.
 *
 *   npm run bench -- outbound                        a sink of Postfix (`smtp-sink`) as the next hop
 *   npm run bench -- outbound --replicas 2           so many copies of delivery
 *   npm run bench -- outbound --set NAME=VALUE       a setting of the platform
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { smtpLoad } from '@postbus/testkit'

import { startPlatform } from './platform.ts'
import { inTemporaryDirectory, median, print } from './rounds.ts'

const SINK_PORT = 30_999
const SINK_BACKLOG = '1000'
const LOAD_SESSIONS = 20
const POLL_MS = 100
/** While most is still to come: every answer takes milliseconds of the process that is timed. */
const FAR_POLL_MS = 500
const FAR = 0.5

export async function outbound(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      messages: { type: 'string', default: '4000' },
      bytes: { type: 'string', default: '10240' },
      rounds: { type: 'string', default: '3' },
      replicas: { type: 'string', default: '1' },
      set: { type: 'string', multiple: true, default: [] },
    },
  })
  const messages = Number(values.messages)
  const settings = [
    'DIRECTORY_MESSAGES_PER_HOUR=1000000',
    'DIRECTORY_RECIPIENTS_PER_HOUR=1000000',
    `DELIVERY_SMARTHOST=127.0.0.1:${SINK_PORT}`,
    'DELIVERY_ALLOW_PRIVATE=true',
    ...values.set,
  ].flatMap((setting) => ['--set', setting])

  const sink = spawn('smtp-sink', ['-u', 'nobody', `127.0.0.1:${SINK_PORT}`, SINK_BACKLOG], { stdio: 'inherit' })
  try {
    await listening(SINK_PORT)
    print(`${messages} messages of ${values.bytes} octets to one next hop, ${values.rounds} rounds`)
    const rates: number[] = []
    for (let round = 0; round < Number(values.rounds); round++) {
      await inTemporaryDirectory(async (dir) => {
        const data = join(dir, 'data')
        await fill(data, settings, { messages, bytes: Number(values.bytes) })
        const rate = await drain(data, [...settings, '--replicas', `delivery=${values.replicas}`], messages)
        rates.push(rate)
        print(`  postbus ${rate.toFixed(0).padStart(6)} relayed/s`)
      })
    }
    print(`\nmedian  postbus ${median(rates).toFixed(0)} relayed/s`)
  } finally {
    sink.kill()
    await once(sink, 'exit')
  }
}

async function fill(
  data: string,
  settings: readonly string[],
  { messages, bytes }: { messages: number; bytes: number },
): Promise<void> {
  const platform = await startPlatform(data, [...settings, '--replicas', 'delivery=0'])
  try {
    const { host, ports, accounts, ca } = platform.ready
    const [account] = accounts
    if (account === undefined) throw new Error('the platform has no account')
    const { promised, refusals } = await smtpLoad({
      host,
      port: ports['submissions'] ?? 0,
      recipients: ['u@bench.test'],
      ...{ messages, bytes, sessions: LOAD_SESSIONS, ledger: null },
      login: { user: account.address, password: account.password, ca: await readFile(ca, 'utf8') },
    })
    if (promised.size !== messages)
      throw new Error(`only ${promised.size} were taken: ${JSON.stringify([...refusals])}`)
  } finally {
    await platform.stop()
  }
}

/** @returns messages per second, from the first seen to leave to the last */
async function drain(data: string, args: readonly string[], messages: number): Promise<number> {
  const platform = await startPlatform(data, args)
  try {
    let first: { at: number; count: number } | undefined
    for (;;) {
      const count = await platform.relayed()
      const at = performance.now()
      if (count > 0) first ??= { at, count }
      if (first && count >= messages) return ((count - first.count) / (at - first.at)) * 1000
      await pause(count > 0 && count < FAR * messages ? FAR_POLL_MS : POLL_MS)
    }
  } finally {
    await platform.stop()
  }
}

async function listening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await pause(POLL_MS)
    } finally {
      socket.destroy()
    }
  }
}
