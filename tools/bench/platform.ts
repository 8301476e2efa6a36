/** A platform for one benchmark, and a look at how far it is. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import type { Ready } from '../start/ready-file.ts'

const POLL_MS = 50
/** Health ports, 6000 above, stay below the range of ports that connections are given. */
const BASE_PORT = 20_000

export interface Platform {
  ready: Ready
  /** Milliseconds until the mailstore's own count says so many messages were delivered. */
  untilDelivered(count: number): Promise<number>
  /** What delivery has done with its tasks since it started, all replicas together. */
  outbound(): Promise<Outbound>
  stop(): Promise<void>
}

export interface Outbound {
  /** Handed to their next hop. */
  relayed: number
  /** Put back because there was no room for them soon. */
  spilled: number
  /** Put off because their site was left alone. */
  suspended: number
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
      while (sumOf(DELIVERED, await pages(ready, 'mailstore')) < count) await pause(POLL_MS)
      return Date.now() - startedAt
    },
    async outbound() {
      const all = await pages(ready, 'delivery')
      return { relayed: sumOf(RELAYED, all), spilled: sumOf(SPILLED, all), suspended: sumOf(SUSPENDED, all) }
    },
    async stop() {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

const DELIVERED = /^mail_mailstore_deliveries_total\{[^}]*outcome="delivered"[^}]*\} (\d+)/gm
const RELAYED = /^mail_delivery_attempts_total\{[^}]*outcome="relayed"[^}]*\} (\d+)/gm
const SPILLED = /^mail_delivery_spilled_total(?:\{[^}]*\})? (\d+)/gm
const SUSPENDED = /^mail_delivery_suspended_total(?:\{[^}]*\})? (\d+)/gm

/** The metrics of all replicas of a service. */
function pages({ host, metrics }: Ready, service: string): Promise<string[]> {
  const ports = Object.entries(metrics).filter(([name]) => name === service || name.startsWith(`${service}-`))
  return Promise.all(ports.map(async ([, port]) => (await fetch(`http://${host}:${port}/metrics`)).text()))
}

const sumOf = (counter: RegExp, all: readonly string[]): number =>
  all.flatMap((page) => [...page.matchAll(counter)]).reduce((total, [, value]) => total + Number(value), 0)
