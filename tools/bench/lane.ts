/**
 * What a slow and a dead site cost a healthy one in the same lane: its messages per second alone, and with as many for each of the
 * others between them, from a full queue.
 *
 *   npm run bench -- lane                        the healthy site answers a message after 40 ms, as over a long line
 *   npm run bench -- lane --healthy-ms 0         at once: its rate is then what the processors have left
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'

import { openSmtpSink, sitesOfOneLane } from '@postbus/testkit'

import { type Drained, drain, fill, settingsOf } from './queue.ts'
import type { Platform } from './platform.ts'
import { inTemporaryDirectory, median, print } from './rounds.ts'

/** A command, and the connection itself, is answered so late at the slow site. */
const SLOW_MS = 30_000
const BYTES = 2048

const run = promisify(execFile)
const postbus = join(import.meta.dirname, '..', '..', 'apps', 'console', 'bin', 'postbus.mjs')

export async function lane(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      messages: { type: 'string', default: '10000' },
      rounds: { type: 'string', default: '3' },
      'healthy-ms': { type: 'string', default: '40' },
      set: { type: 'string', multiple: true, default: [] },
    },
  })
  const messages = Number(values.messages)
  // Who is put off comes back after the last of the healthy ones.
  const settings = settingsOf('DELIVERY_RETRY_FIRST_MS=3600000', ...values.set)
  const [healthy = '', slow = '', dead = ''] = sitesOfOneLane(3)
  const sinks = {
    [healthy]: await openSmtpSink({ slowMs: Number(values['healthy-ms']), keep: 'digests' }),
    [slow]: await openSmtpSink({ greetingDelayMs: SLOW_MS, delayMs: SLOW_MS }),
    [dead]: await openSmtpSink(),
  }
  await sinks[dead]?.close()

  async function routes({ ready: { data } }: Platform): Promise<void> {
    for (const [site, { port }] of Object.entries(sinks)) {
      const rule = ['transport', 'add', site, site, '--smarthost', `127.0.0.1:${port}`, '--tls', 'none']
      await run(process.execPath, [postbus, ...rule, '--data', data])
    }
  }

  const rateOf = (sites: readonly string[]): Promise<Drained> =>
    inTemporaryDirectory(async (dir) => {
      const data = join(dir, 'data')
      const recipients = sites.map((site) => `dotslow@${site}`)
      await fill(data, settings, { recipients, messages: messages * sites.length, bytes: BYTES }, routes)
      return drain(data, settings, messages)
    })

  try {
    print(`${messages} messages for each site, ${values.rounds} rounds`)
    const shares: number[] = []
    for (let round = 0; round < Number(values.rounds); round++) {
      const alone = await rateOf([healthy])
      const { rate, spilled, suspended } = await rateOf([healthy, slow, dead])
      shares.push(rate / alone.rate)
      print(
        `  alone ${perSecond(alone.rate)}, beside a slow and a dead one ${perSecond(rate)} (${spilled} put back, ${suspended} put off): ${percent(rate / alone.rate)}`,
      )
    }
    print(`\nmedian ${percent(median(shares))} of the rate alone`)
  } finally {
    for (const site of [healthy, slow]) await sinks[site]?.close()
  }
}

const perSecond = (rate: number): string => `${rate.toFixed(0)}/s`
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
