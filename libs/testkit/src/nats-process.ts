/** One nats-server process on a configuration file: started until it says that it is ready, killed, paused. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { createUser } from '@nats-io/nkeys'
import { identities, type Identity } from '@postbus/contracts'

/** Also beside other suites on a machine that is slow today. */
const READY_TIMEOUT_MS = 60_000
const POLL_MS = 20

let binary: Promise<string> | undefined

/** Found once per test process by the same tool that `npm start` uses. */
function serverBinary(): Promise<string> {
  const tool = fileURLToPath(new URL('../../../tools/nats/find-server.mjs', import.meta.url))
  binary ??= promisify(execFile)(process.execPath, [tool]).then(({ stdout }) => stdout.trim())
  return binary
}

export class NatsProcess {
  readonly #configFile: string
  #child: ChildProcess | undefined
  #log = ''

  constructor(configFile: string) {
    this.#configFile = configFile
  }

  async launch(): Promise<void> {
    this.#log = ''
    const started = spawn(await serverBinary(), ['-c', this.#configFile], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = started
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-20_000)
    })
    const deadline = Date.now() + READY_TIMEOUT_MS
    while (!this.#log.includes('Server is ready')) {
      if (started.exitCode !== null || started.signalCode !== null || Date.now() > deadline) {
        throw new Error(`nats-server did not start:\n${this.#log}`)
      }
      await delay(POLL_MS)
    }
  }

  /** Resolves when the process is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const running = this.#child
    this.#child = undefined
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const gone = once(running, 'exit')
    running.kill('SIGCONT')
    running.kill(signal)
    await gone
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }
}

/** Keys of everybody for one test: the seeds, and the public halves as a server's configuration wants them. */
export function natsKeys() {
  const decoder = new TextDecoder()
  const keys = identities.map((identity) => ({ identity, pair: createUser() }))
  const admin = createUser()
  return {
    users: Object.fromEntries(keys.map(({ identity, pair }) => [identity, pair.getPublicKey()])),
    administrators: [admin.getPublicKey()],
    // One entry per identity by construction.
    seeds: Object.fromEntries(keys.map(({ identity, pair }) => [identity, decoder.decode(pair.getSeed())])) as Record<
      Identity,
      string
    >,
    adminSeed: decoder.decode(admin.getSeed()),
  }
}

/** Until a server greets there. */
export async function answers(port: number): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'data')
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
      await delay(POLL_MS)
    } finally {
      socket.destroy()
    }
  }
}
