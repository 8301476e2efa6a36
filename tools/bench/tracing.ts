/**
 * What traces cost a whole platform: messages per second and CPU time per message with nothing recorded, a hundredth of all traces, and all,
 * sent to a collector that takes them and does no more. What the collector takes is in none of the figures.
 *
 *   npm run bench -- tracing
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { describe, loadOf, loadOptions, oneRound, type Round } from './flow.ts'
import { startPlatform } from './platform.ts'
import { inTemporaryDirectory, print } from './rounds.ts'

/** Shares of the traces; null: no collector is named. */
const SHARES = [null, 0.01, 1]

export async function tracing(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      ...loadOptions,
      rounds: { type: 'string', default: '5' },
    },
  })
  const load = loadOf(values)
  const collector = await startCollector()
  const setups = SHARES.map((share) => ({ share, rounds: [] as Round[] }))
  print(`${load.messages} messages of ${load.bytes} octets, ${load.sessions} sessions, ${values.rounds} rounds in turn`)
  try {
    for (let turn = 0; turn < Number(values.rounds); turn++) {
      for (const { share, rounds } of setups) {
        await inTemporaryDirectory(async (dir) => {
          const platform = await startPlatform(join(dir, 'data'), ['--processes', ...settings(share, collector.url)])
          try {
            await oneRound(platform, load, 1) // Code that was never run is slow.
            rounds.push(await oneRound(platform, load, 2))
          } finally {
            await platform.stop()
          }
        })
      }
    }
  } finally {
    collector.server.close()
  }
  for (const { share, rounds } of setups) {
    print(describe(share === null ? 'nothing recorded' : `${share * 100} % of traces recorded`, rounds))
  }
}

function settings(share: number | null, collector: string): string[] {
  const set = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: String(share),
  }
  return share === null ? [] : Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${value}`])
}

async function startCollector(): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } // Listening on TCP.
}
