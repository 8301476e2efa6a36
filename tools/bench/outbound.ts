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
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { drain, fill, settingsOf } from './queue.ts'
import { inTemporaryDirectory, median, print } from './rounds.ts'

const SINK_PORT = 30_999
const SINK_BACKLOG = '1000'
const POLL_MS = 100

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
  const settings = settingsOf(`DELIVERY_SMARTHOST=127.0.0.1:${SINK_PORT}`, ...values.set)

  const sink = spawn('smtp-sink', ['-u', 'nobody', `127.0.0.1:${SINK_PORT}`, SINK_BACKLOG], { stdio: 'inherit' })
  try {
    await listening(SINK_PORT)
    print(`${messages} messages of ${values.bytes} octets to one next hop, ${values.rounds} rounds`)
    const rates: number[] = []
    for (let round = 0; round < Number(values.rounds); round++) {
      await inTemporaryDirectory(async (dir) => {
        const data = join(dir, 'data')
        await fill(data, settings, { recipients: ['u@bench.test'], messages, bytes: Number(values.bytes) })
        const { rate } = await drain(data, [...settings, '--replicas', `delivery=${values.replicas}`], messages)
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
