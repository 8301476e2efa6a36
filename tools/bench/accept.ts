/**
 * How many messages per second are accepted at port 25, and how soon they stand in the mailbox.
 *
 *   npm run bench                                     a platform of its own in a temporary directory
 *   npm run bench -- --peer postfix=127.0.0.1:2525    the same load at a peer, in turn, in the same minutes
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { smtpLoad } from '@postbus/testkit'

import { startPlatform } from './platform.ts'
import { inTemporaryDirectory, median, print } from './rounds.ts'

interface Target {
  name: string
  host: string
  port: number
  recipients: string[]
  rates: number[]
}

export async function accept(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      messages: { type: 'string', default: '5000' },
      sessions: { type: 'string', default: '50' },
      bytes: { type: 'string', default: '10240' },
      rounds: { type: 'string', default: '3' },
      recipient: { type: 'string', default: 'u@bench.test' },
      peer: { type: 'string', multiple: true, default: [] },
    },
  })
  const messages = Number(values.messages)
  const rounds = Number(values.rounds)

  await inTemporaryDirectory(async (dir) => {
    const platform = await startPlatform(join(dir, 'data'))
    try {
      const { host, ports, accounts } = platform.ready
      const recipients = accounts.map(({ address }) => address)
      const targets: Target[] = [
        { name: 'postbus', host, port: ports['mx'] ?? 0, recipients, rates: [] },
        ...values.peer.map((text) => peerOf(text, values.recipient)),
      ]
      print(`${messages} messages of ${values.bytes} octets, ${values.sessions} sessions, ${rounds} rounds`)
      for (let round = 1; round <= rounds; round++) {
        for (const target of targets) {
          const { elapsedMs, promised, refusals } = await smtpLoad({
            host: target.host,
            port: target.port,
            recipients: target.recipients,
            messages,
            sessions: Number(values.sessions),
            bytes: Number(values.bytes),
            ledger: null,
          })
          const rate = (promised.size / elapsedMs) * 1000
          target.rates.push(rate)
          const settledMs = target.name === 'postbus' ? await platform.untilDelivered(promised.size * round) : null
          const settled = settledMs === null ? '' : `, all in the mailboxes ${(settledMs / 1000).toFixed(1)} s later`
          const refused = refusals.size === 0 ? '' : `, refused ${JSON.stringify([...refusals])}`
          print(`  ${target.name.padEnd(12)} ${rate.toFixed(0).padStart(6)} accepted/s${settled}${refused}`)
        }
      }
      const [ours, ...peers] = targets.map(({ name, rates }) => ({ name, rate: median(rates) }))
      print(`\nmedian  postbus ${ours?.rate.toFixed(0)} accepted/s`)
      for (const { name, rate } of peers) {
        print(`        ${name} ${rate.toFixed(0)} accepted/s, postbus/${name} ${((ours?.rate ?? 0) / rate).toFixed(2)}`)
      }
    } finally {
      await platform.stop()
    }
  })
}

function peerOf(text: string, recipient: string): Target {
  const [, name = '', host = '', port] = /^([^=]+)=(.+):(\d+)$/.exec(text) ?? []
  if (!port) throw new Error(`--peer name=host:port, not ${text}`)
  return { name, host, port: Number(port), recipients: [recipient], rates: [] }
}
