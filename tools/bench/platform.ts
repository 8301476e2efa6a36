/** A platform for one benchmark, and a look at how far it is. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import type { Ready } from '../start/ready-file.ts'

const POLL_MS = 100
const BASE_PORT = 30_000

export async function temporaryPlatform(data: string) {
  const readyFile = `${data}.ready.json`
  const main = join(import.meta.dirname, '..', 'start', 'main.ts')
  const args = ['--data', data, '--base-port', String(BASE_PORT), '--ready-file', readyFile]
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
  while (!existsSync(readyFile)) {
    if (child.exitCode !== null) throw new Error(`the platform ended with ${child.exitCode}`)
    await pause(POLL_MS)
  }
  const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as Ready

  return {
    ready,
    /** Milliseconds until the mailstore's own count says so many messages were delivered. */
    async untilDelivered(count: number): Promise<number> {
      const startedAt = Date.now()
      while ((await delivered(ready)) < count) await pause(POLL_MS)
      return Date.now() - startedAt
    },
    async stop(): Promise<void> {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

async function delivered({ host, metrics }: Ready): Promise<number> {
  const page = await (await fetch(`http://${host}:${metrics['mailstore']}/metrics`)).text()
  return [...page.matchAll(/^mail_mailstore_deliveries_total\{[^}]*outcome="delivered"[^}]*\} (\d+)/gm)].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  )
}
