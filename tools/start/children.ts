/** The processes of the services: as a plan says, and as the next plan says when it changes while they run. */
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { DataLayout } from '@postbus/profile'

import { settings, stopWaves, type Instance, type Plan, type Surroundings } from './plan.ts'
import { scrapeTargets } from './scrape-targets.ts'
import { supervise, type Supervised, type SupervisorEvents } from './supervisor.ts'

/**
 * What glibc gives back to the system it soon asks for again, and then every 4 KiB are a page fault, which costs 15 microseconds
 * in some virtual machines. Pages of messages and frames of the bus have some 200 KiB: by default these go back at once. As in
 * the Dockerfile.
 */
const ALLOCATOR = {
  MALLOC_MMAP_THRESHOLD_: String(4 * 1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(32 * 1024 * 1024),
  MALLOC_TOP_PAD_: String(1024 * 1024),
}

/** What a service may take to drain before it is killed; its own deadline is shorter. */
const STOP_MS = 30_000

export interface ChildrenOptions {
  root: string
  dirs: DataLayout
  around: Surroundings
  events: SupervisorEvents
}

export class Children {
  readonly #options: ChildrenOptions
  readonly #running = new Map<string, Supervised>()
  #plan: Plan

  constructor(plan: Plan, options: ChildrenOptions) {
    this.#plan = { ...plan, processes: [] }
    this.#options = options
  }

  get instances(): Instance[] {
    return this.#plan.processes.flatMap(({ instances }) => instances)
  }

  get all(): Supervised[] {
    return [...this.#running.values()]
  }

  /** By instance; an instance whose process is just being replaced is left out. */
  pids(): [string, number][] {
    return this.#plan.processes.flatMap(({ name, instances }) => {
      const pid = this.#running.get(name)?.pid ?? null
      return pid === null ? [] : instances.map((instance): [string, number] => [instance.name, pid])
    })
  }

  /** Stops what the plan does not name, each after it drained, and starts what is new in it. */
  async become(plan: Plan): Promise<void> {
    const wanted = new Set(plan.processes.map(({ name }) => name))
    await this.#stop(({ name }) => !wanted.has(name))
    this.#plan = plan
    await this.#writeSettings()
    const { root, dirs, events } = this.#options
    for (const { name, instances } of plan.processes) {
      if (this.#running.has(name)) continue
      const args = [join(root, 'tools', 'run', 'main.ts'), ...instances.map((instance) => instance.name)]
      const child = supervise(
        {
          ...{ name, command: process.execPath, args, lifeline: 'ipc', stopMs: STOP_MS },
          env: { ...unlessSet(ALLOCATOR), POSTBUS_SETTINGS: dirs.settings },
          logFile: join(dirs.logs, `${name}.log`),
        },
        events,
      )
      this.#running.set(name, child)
    }
  }

  /** Everything: intake first, what stores mail last. */
  async stop(): Promise<void> {
    await this.#stop(() => true)
  }

  async #stop(which: (child: Supervised) => boolean): Promise<void> {
    for (const wave of stopWaves(this.#plan)) {
      const leaving = this.all.filter((child) => wave.includes(child.name) && which(child))
      await Promise.all(leaving.map((child) => child.stop()))
      for (const { name } of leaving) this.#running.delete(name)
    }
  }

  /** Files replaced whole: who reads one just now gets the old or the new one. */
  async #writeSettings(): Promise<void> {
    const { dirs, around } = this.#options
    const text = JSON.stringify(
      Object.fromEntries(this.instances.map((instance) => [instance.name, settings(instance, this.#plan, around)])),
    )
    await writeFile(`${dirs.settings}.new`, text, { mode: 0o600 })
    await rename(`${dirs.settings}.new`, dirs.settings)
    await writeFile(`${dirs.scrapeTargets}.new`, scrapeTargets(this.instances))
    await rename(`${dirs.scrapeTargets}.new`, dirs.scrapeTargets)
  }
}

const unlessSet = (env: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => process.env[name] === undefined))
