/** A platform for one benchmark, and a look at how far it is. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import type { Ready } from '../start/ready-file.ts'

const POLL_MS = 50
const BASE_PORT = 30_000

export interface Platform {
  ready: Ready
  /** Milliseconds until the mailstore's own count says so many messages were delivered. */
  untilDelivered(count: number): Promise<number>
  /** How many recipients delivery has handed to their next hop since it started, all replicas together. */
  relayed(): Promise<number>
  stop(): Promise<void>
}

/** @param args of the start command, besides those it needs to be by itself */
export async function startPlatform(data: string, args: readonly string[] = []): Promise<Platform> {
  const readyFile = `${data}.ready.json`
  rmSync(readyFile, { force: true })
  const main = join(import.meta.dirname, '..', 'start', 'main.ts')
  const own = ['--data', data, '--base-port', String(BASE_PORT), '--ready-file', readyFile]
  const child = spawn(process.execPath, [main, ...own, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
  while (!existsSync(readyFile)) {
    if (child.exitCode !== null) throw new Error(`the platform ended with ${child.exitCode}`)
    await pause(POLL_MS)
  }
  const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as Ready

  return {
    ready,
    async untilDelivered(count) {
      const startedAt = Date.now()
      while (
        (await sum(ready, 'mailstore', /^mail_mailstore_deliveries_total\{[^}]*outcome="delivered"[^}]*\} (\d+)/gm)) <
        count
      )
        await pause(POLL_MS)
      return Date.now() - startedAt
    },
    relayed: () => sum(ready, 'delivery', /^mail_delivery_attempts_total\{[^}]*outcome="relayed"[^}]*\} (\d+)/gm),
    async stop() {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

/** A counter over all replicas of a service. */
async function sum({ host, metrics }: Ready, service: string, counter: RegExp): Promise<number> {
  const ports = Object.entries(metrics).filter(([name]) => name === service || name.startsWith(`${service}-`))
  const pages = await Promise.all(ports.map(async ([, port]) => (await fetch(`http://${host}:${port}/metrics`)).text()))
  return pages.flatMap((page) => [...page.matchAll(counter)]).reduce((total, [, value]) => total + Number(value), 0)
}
