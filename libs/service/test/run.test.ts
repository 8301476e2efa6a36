import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { startNatsServer, type NatsServer } from '@postbus/testkit'

const fixture = fileURLToPath(new URL('./fixtures/services.ts', import.meta.url))

/** A process begins late beside other suites. */
const PATIENCE_MS = 60_000

interface Started {
  healthPorts: Map<string, number>
  signal(signal: NodeJS.Signals): void
  output(): string
  exit: Promise<number | null>
}

/** Starts the fixture's services in one process; each with the key it has on this server. */
async function start(
  t: TestContext,
  names: string[],
  nats: NatsServer | null,
  env: Record<string, string> = {},
): Promise<Started> {
  const directory = await mkdtemp(join(tmpdir(), 'postbus-service-'))
  t.after(() => rm(directory, { recursive: true }))
  const keys: Record<string, string> = {}
  for (const name of ['directory', 'inbound'] as const) {
    const file = join(directory, `${name}.nk`)
    await writeFile(file, nats?.seeds[name] ?? '')
    keys[`${name.toUpperCase()}_NATS_NKEY_FILE`] = file
  }
  const child = spawn(process.execPath, [fixture, ...names], {
    env: { PATH: process.env['PATH'], HEALTH_PORT: '0', ...(nats && { NATS_URL: nats.url }), ...keys, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  const healthPorts = new Map<string, number>()
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    for (const [, name = '', port] of output.matchAll(/"name":"(\w+)","healthPort":(\d+)/g))
      healthPorts.set(name, Number(port))
  })
  const exit = once(child, 'close').then(([code]): number | null => (typeof code === 'number' ? code : null))
  return { healthPorts, signal: (signal) => void child.kill(signal), output: () => output, exit }
}

async function get(started: Started, name: string, path: string): Promise<{ status: number; body: string }> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const port = started.healthPorts.get(name)
    if (port) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return { status: response.status, body: await response.text() }
    }
    if (Date.now() > deadline) throw new Error(`no health port of ${name}:\n${started.output()}`)
    await delay(20)
  }
}

async function ready(started: Started, name: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while ((await get(started, name, '/readyz')).status !== 200) {
    if (Date.now() > deadline) throw new Error(`${name} does not get ready:\n${started.output()}`)
    await delay(20)
  }
}

test('services in one process start in any order and are each ready when what they need answers', async (t) => {
  const nats = await startNatsServer(t)
  const started = await start(t, ['inbound', 'directory'], nats)
  await ready(started, 'inbound')
  await ready(started, 'directory')
  const { body } = await get(started, 'inbound', '/metrics')
  assert.match(body, /mail_bus_request_seconds_count\{request="directory.resolve"/)
  assert.match(body, /process_cpu_seconds_total/)
})

test('a service alone is alive but not ready, and says why', async (t) => {
  const nats = await startNatsServer(t)
  const started = await start(t, ['inbound'], nats)
  const deadline = Date.now() + PATIENCE_MS
  const isStarting = ({ body }: { body: string }): boolean => /starting|not connected/.test(body)
  let answer = await get(started, 'inbound', '/readyz')
  while (isStarting(answer) && Date.now() < deadline) answer = await get(started, 'inbound', '/readyz')
  assert.equal(answer.status, 503)
  assert.deepEqual(JSON.parse(answer.body), { ready: false, reasons: ['the directory does not answer'] })
  assert.equal((await get(started, 'inbound', '/healthz')).status, 200)
})

test('without a bus a service is alive, not ready, and still stops as asked', async (t) => {
  const started = await start(t, ['inbound'], null, { NATS_URL: 'nats://127.0.0.1:1' })
  const { status, body } = await get(started, 'inbound', '/readyz')
  assert.equal(status, 503)
  assert.match(body, /not connected to the bus/)
  assert.equal((await get(started, 'inbound', '/healthz')).status, 200)
  started.signal('SIGTERM')
  assert.equal(await started.exit, 0, started.output())
})

test('SIGTERM closes everything and exits with 0', async (t) => {
  const nats = await startNatsServer(t)
  const started = await start(t, ['inbound', 'directory'], nats)
  await ready(started, 'inbound')
  started.signal('SIGTERM')
  assert.equal(await started.exit, 0, started.output())
  assert.match(started.output(), /directory closed/)
  assert.match(started.output(), /inbound closed/)
  assert.doesNotMatch(started.output(), /left open/)
})

test('what is not closed by the drain deadline is left, and the exit code says so', async (t) => {
  const nats = await startNatsServer(t)
  const started = await start(t, ['directory'], nats, { FIXTURE_CLOSE_MS: '60000', DRAIN_DEADLINE_MS: '200' })
  await ready(started, 'directory')
  started.signal('SIGTERM')
  assert.equal(await started.exit, 1)
  assert.match(started.output(), /not closed by the drain deadline/)
})

test('a second signal does not wait', async (t) => {
  const nats = await startNatsServer(t)
  const started = await start(t, ['directory'], nats, { FIXTURE_CLOSE_MS: '60000', DRAIN_DEADLINE_MS: '60000' })
  await ready(started, 'directory')
  started.signal('SIGTERM')
  while (!started.output().includes('"stopping"')) await delay(10)
  started.signal('SIGINT')
  assert.equal(await started.exit, 1)
  assert.match(started.output(), /second signal/)
})

test('settings that cannot be used are all named, for all services, and nothing is started: 78', async (t) => {
  const started = await start(t, ['inbound', 'directory'], null, { LOG_LEVEL: 'loud', DIRECTORY_HEALTH_PORT: 'x' })
  assert.equal(await started.exit, 78)
  assert.match(
    started.output(),
    /inbound: settings.*\n {2}LOG_LEVEL = "loud".*\ndirectory: settings.*\n {2}LOG_LEVEL.*\n {2}HEALTH_PORT = "x"/,
  )
  assert.equal(started.healthPorts.size, 0)
})

test('a service that cannot start ends the process with 70', async (t) => {
  const nats = await startNatsServer(t)
  const started = await start(t, ['directory'], nats, { FIXTURE_THROW: 'start' })
  assert.equal(await started.exit, 70)
  assert.match(started.output(), /cannot start/)
})

test('what nobody catches is logged and ends the process with 70', async (t) => {
  const nats = await startNatsServer(t)
  const started = await start(t, ['directory'], nats, { FIXTURE_THROW: 'later' })
  assert.equal(await started.exit, 70)
  assert.match(started.output(), /"level":"fatal".*nobody catches/)
})
