/** What this machine says of itself and of what listens on it. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { z } from 'zod'

import type { DiskState } from '../doctor/disk.ts'
import type { OutboundState } from '../doctor/outbound.ts'
import type { ServiceState } from '../doctor/services.ts'

const TIMEOUT_MS = 5_000

const Health = z.object({ ready: z.boolean(), reasons: z.array(z.string()) })

export async function healthOf(host: string, port: string): Promise<ServiceState['health']> {
  try {
    const answer = await fetch(`http://${host}:${port}/readyz`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    return Health.parse(await answer.json())
  } catch {
    return null
  }
}

/** @returns why not; null: it takes connections */
export async function whyClosed(host: string, port: number): Promise<string | null> {
  try {
    ;(await connected(host, port)).destroy()
    return null
  } catch (error) {
    return reasonOf(error)
  }
}

/** What an SMTP server says first. */
export async function greetingOf(host: string, port: number): Promise<OutboundState> {
  const target = `${host}:${port}`
  let socket: Socket | undefined
  try {
    socket = await connected(host, port)
    const [data] = await once(socket, 'data', { signal: AbortSignal.timeout(TIMEOUT_MS) })
    const [line = ''] = String(data).split('\r\n')
    return { target, greeting: line, failure: null }
  } catch (error) {
    return { target, greeting: null, failure: reasonOf(error) }
  } finally {
    socket?.destroy()
  }
}

async function connected(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port })
  socket.on('error', () => {}) // Told by `once`; after it nobody cares.
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(TIMEOUT_MS) })
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'AbortError') return `does not answer in ${TIMEOUT_MS / 1000} s`
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}

export async function diskOf(dir: string): Promise<DiskState> {
  const { bavail, blocks, bsize, ffree, files } = await statfs(dir)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeInodes: ffree, totalInodes: files }
}

/** How far the file system's clock is ahead of ours (ms): by a directory made and removed. */
export async function fileSystemAhead(dir: string): Promise<number> {
  const before = Date.now()
  const made = await mkdtemp(join(dir, 'clock-'))
  try {
    return (await stat(made)).mtimeMs - (before + Date.now()) / 2
  } finally {
    await rm(made, { recursive: true })
  }
}

/** As systemd sees it; null where there is none to ask. */
export async function isSynchronised(): Promise<boolean | null> {
  try {
    const { stdout } = await promisify(execFile)('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'], {
      timeout: TIMEOUT_MS,
    })
    const word = stdout.trim()
    return word === 'yes' ? true : word === 'no' ? false : null
  } catch {
    return null
  }
}

export const ownAddresses = (): Set<string> =>
  new Set(Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)))

/** Files directly in a directory, with their permissions. */
export async function modesIn(dir: string): Promise<{ path: string; mode: number }[]> {
  const names = await readdir(dir)
  return Promise.all(names.map(async (name) => ({ path: join(dir, name), mode: (await stat(join(dir, name))).mode })))
}
