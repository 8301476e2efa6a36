/**
 * Keeps child processes running: one that ends unasked is started again, sooner or later depending on how long it lived.
 *
 * Children live in process groups of their own, so that Ctrl-C reaches only us and the order of stopping is ours; they
 * hold one end of a pipe (IPC or stdin) whose other end is ours, so that none outlives us, however we end.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000
/** A child that lived this long starts again at once. */
const SETTLED_MS = 10_000
/** sysexits.h EX_CONFIG: starting again would change nothing. */
const EX_CONFIG = 78

export interface ChildSpec {
  name: string
  command: string
  args: string[]
  env: Record<string, string>
  /** Standard output and error go to the end of this file. */
  logFile: string
  /** How the child notices that we are gone: by its IPC channel, or by the end of its standard input. */
  lifeline: 'ipc' | 'stdin'
  /** Where the child that counts writes its pid, when it is not the one we start. */
  pidFile?: string
  /** What stopping may take before it is killed. */
  stopMs: number
}

export interface Supervised {
  readonly name: string
  /** Of the process running now; null between two. */
  readonly pid: number | null
  stop(): Promise<void>
}

export interface SupervisorEvents {
  /** A child was replaced. */
  restarted(name: string, how: string): void
  /** A child cannot run with the settings it has. */
  misconfigured(name: string): void
}

export function supervise(spec: ChildSpec, events: SupervisorEvents): Supervised {
  let stopping = false
  let pauseMs = FIRST_PAUSE_MS
  let child = run()
  let timer: NodeJS.Timeout | undefined

  function run(): ChildProcess {
    const log = openSync(spec.logFile, 'a', 0o600)
    const options: SpawnOptions = {
      env: { ...process.env, ...spec.env },
      detached: true,
      stdio: spec.lifeline === 'ipc' ? ['ignore', log, log, 'ipc'] : ['pipe', log, log],
    }
    if (spec.pidFile !== undefined) rmSync(spec.pidFile, { force: true })
    const startedAt = Date.now()
    const started = spawn(spec.command, spec.args, options)
    closeSync(log)
    started.stdin?.on('error', () => {}) // The pipe breaks when the child dies; its exit says so.
    started.once('error', (error) => ended(`could not start: ${error.message}`, null, startedAt))
    started.once('exit', (code, signal) => ended(signal ?? `exit code ${code}`, code, startedAt))
    return started
  }

  function ended(how: string, code: number | null, startedAt: number): void {
    child.stdin?.end()
    if (stopping) return
    if (code === EX_CONFIG) return events.misconfigured(spec.name)
    if (Date.now() - startedAt > SETTLED_MS) pauseMs = FIRST_PAUSE_MS
    timer = setTimeout(() => {
      child = run()
      events.restarted(spec.name, how)
    }, pauseMs)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }

  return {
    name: spec.name,
    get pid() {
      if (child.exitCode !== null || child.signalCode !== null) return null
      if (spec.pidFile === undefined) return child.pid ?? null
      return pidIn(spec.pidFile)
    },
    async stop() {
      stopping = true
      clearTimeout(timer)
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
      const gone = once(child, 'exit')
      if (spec.lifeline === 'stdin') child.stdin?.end()
      else child.kill('SIGTERM')
      const kill = setTimeout(() => child.kill('SIGKILL'), spec.stopMs)
      await gone
      clearTimeout(kill)
    },
  }
}

/** Null until the whole number is there: it is written a moment after the file is made, and removed at any time. */
function pidIn(file: string): number | null {
  try {
    return Number(readFileSync(file, 'utf8')) || null
  } catch {
    return null
  }
}
