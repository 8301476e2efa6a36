/** A signing name server (Knot DNS) behind a validating resolver (Unbound), both from Debian, on loopback ports of their own. */
import { execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const READY_TIMEOUT_MS = 60_000
const POLL_MS = 50
/** In Debian, outside the path of ordinary users. */
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }

/**
 * @param zones text by name, without DNSSEC records: Knot signs them
 * @param forged a zone of them for which the resolver believes another key
 * @returns the resolver
 */
export async function startValidatingResolver(
  t: TestContext,
  zones: Readonly<Record<string, string>>,
  forged: string,
): Promise<{ address: string; port: number }> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-real-dns-'))
  const stops: (() => Promise<void>)[] = []
  t.after(async () => {
    await Promise.all(stops.map((stop) => stop()))
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  const [knotPort, unboundPort] = [await freePort(), await freePort()]
  for (const [name, text] of Object.entries(zones)) await writeFile(join(dir, `${name}.zone`), text)

  const knotConfig = join(dir, 'knot.conf')
  await writeFile(knotConfig, knot(dir, knotPort, Object.keys(zones)))
  const knotLog = await daemon(stops, 'knotd', ['-c', knotConfig])
  const anchors: string[] = []
  for (const name of Object.keys(zones)) {
    const ds = await delegationSigner(knotConfig, name, knotLog)
    anchors.push(name === forged ? ds.replace(/[0-9a-f]{64}$/i, '0'.repeat(64)) : ds)
  }
  const unboundConfig = join(dir, 'unbound.conf')
  await writeFile(unboundConfig, unbound(dir, { unboundPort, knotPort, names: Object.keys(zones), anchors }))
  await chmod(dir, 0o755)
  const unboundLog = await daemon(stops, 'unbound', ['-d', '-c', unboundConfig])
  await until('unbound', unboundLog, async () => unboundLog().includes('start of service'))
  return { address: '127.0.0.1', port: unboundPort }
}

function knot(dir: string, port: number, names: readonly string[]): string {
  return [
    `server:\n  rundir: ${dir}\n  listen: 127.0.0.1@${port}`,
    `database:\n  storage: ${dir}`,
    `template:\n  - id: default\n    storage: ${dir}\n    dnssec-signing: on\n    zonefile-sync: -1`,
    'zone:',
    ...names.map((name) => `  - domain: ${name}\n    file: ${name}.zone`),
    '',
  ].join('\n')
}

function unbound(
  dir: string,
  {
    unboundPort,
    knotPort,
    names,
    anchors,
  }: { unboundPort: number; knotPort: number; names: readonly string[]; anchors: readonly string[] },
): string {
  return [
    'server:',
    `  interface: 127.0.0.1@${unboundPort}`,
    `  directory: "${dir}"\n  chroot: ""\n  pidfile: ""\n  username: ""\n  use-syslog: no\n  verbosity: 1`,
    '  do-not-query-localhost: no\n  module-config: "validator iterator"\n  num-threads: 1',
    // RFC 6761 §6.2 keeps "test." to itself unless told otherwise.
    '  local-zone: "test." nodefault',
    ...anchors.map((ds) => `  trust-anchor: "${ds}"`),
    'remote-control:\n  control-enable: no',
    ...names.map((name) => `stub-zone:\n  name: "${name}."\n  stub-addr: 127.0.0.1@${knotPort}`),
    '',
  ].join('\n')
}

/** The SHA-256 digest of the key Knot made for a zone: it may take a moment to make it. */
async function delegationSigner(config: string, zone: string, log: () => string): Promise<string> {
  let found = ''
  await until('knotd', log, async () => {
    const { stdout } = await promisify(execFile)('keymgr', ['-c', config, `${zone}.`, 'ds'], { env }).catch(() => ({
      stdout: '',
    }))
    found =
      stdout
        .split('\n')
        .find((line) => / 2 [0-9a-f]{64}$/i.test(line.trim()))
        ?.trim() ?? ''
    return found !== ''
  })
  return found
}

/** @returns what it has printed so far */
async function daemon(stops: (() => Promise<void>)[], command: string, args: readonly string[]): Promise<() => string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
  let log = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-20_000)
    })
  await once(child, 'spawn')
  stops.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill()
    await gone
  })
  return () => log
}

/** @throws with what the daemon printed, when it takes too long */
async function until(what: string, log: () => string, done: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`${what} did not get ready:\n${log()}`)
    await delay(POLL_MS)
  }
}

/** Below those the system gives to clients: none of them may take it in the meantime. */
async function freePort(): Promise<number> {
  for (;;) {
    const socket = createSocket('udp4')
    try {
      socket.bind(randomInt(20_000, 30_000), '127.0.0.1')
      await once(socket, 'listening')
      return socket.address().port
    } catch {
      // Taken: another.
    } finally {
      socket.close()
    }
  }
}
