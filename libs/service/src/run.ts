/**
 * Runs one service or many in this process, until a signal.
 *
 *   78  a setting cannot be used; all of them are named, nothing was started (EX_CONFIG)
 *   70  a service could not start, or something was thrown that nobody caught (EX_SOFTWARE)
 *    1  not closed by the drain deadline, or a second signal
 *    0  stopped as asked
 *
 * All services start at once: those that need another wait for it themselves, and readiness says so.
 */
import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

import type { Logger } from 'pino'
import { z } from 'zod'

import type { ServiceDefinition } from './define.ts'
import { createLog, type ServiceLog } from './log.ts'
import { addressMask } from './mask-addresses.ts'
import { commonConfig, readSettings, type CommonConfig, type Environment, type SettingsResult } from './settings.ts'
import { startService, type RunningService } from './start.ts'

const EX_SOFTWARE = 70
const EX_CONFIG = 78
const LEFT_OPEN_MS = 2_000
/**
 * Mail passes through in buffers, which V8 counts with a heap that is small beside them: left to itself it searches all of that
 * for garbage every few megabytes. So much growth between two searches is the most it allows any heap by itself.
 */
const HEAP_GROWTH = '--heap-growing-percent=300'
/**
 * It also searches all of the heap whenever buffers outside of it have grown by 64 MiB: several times a second while a client fetches a
 * large mailbox. Counted with the heap, they are left to the small searches, which let them go as soon.
 */
const BUFFERS_WITH_HEAP = '--external-memory-accounted-in-global-limit'

export interface Run {
  definition: ServiceDefinition
  env?: Environment
}

interface Prepared {
  definition: ServiceDefinition
  config: unknown
  common: CommonConfig
  log: ServiceLog
}

const Common = z.object(commonConfig)

export const runService = (definition: ServiceDefinition, env: Environment = process.env): Promise<void> =>
  runServices([{ definition, env }])

/** Resolves when everything was stopped, with `process.exitCode` set; leaves by `process.exit` when it could not be. */
export async function runServices(runs: readonly Run[]): Promise<void> {
  const prepared = prepare(runs)
  if (!prepared) {
    process.exitCode = EX_CONFIG
    return
  }
  for (const flag of [HEAP_GROWTH, BUFFERS_WITH_HEAP]) setFlagsFromString(flag)
  const stop = Promise.withResolvers<number>()
  onSignals(prepared[0]?.log.log, stop.resolve)

  const services: RunningService[] = []
  try {
    for (const { definition, config, common, log } of prepared) {
      const service = await startService(definition, config, common, log)
      services.push(service)
      void service.failed.then((err) => {
        log.log.fatal({ err }, 'cannot go on')
        stop.resolve(EX_SOFTWARE)
      })
    }
  } catch (err) {
    // A health port in use, for example.
    prepared[services.length]?.log.log.fatal({ err }, 'could not start')
    stop.resolve(EX_SOFTWARE)
  }

  const code = await stop.promise
  const inTime = await Promise.all(services.map((service) => service.stop()))
  if (inTime.includes(false)) process.exit(code || 1)
  process.exitCode = code
  // Something that keeps the event loop alive now is a leak; it must not keep the process.
  setTimeout(() => {
    const left = process.getActiveResourcesInfo()
    prepared[0]?.log.log.warn({ left }, 'something was left open; leaving all the same')
    process.exit(code)
  }, LEFT_OPEN_MS).unref()
}

/** @returns undefined when a setting cannot be used; the problems of all services have been written then */
function prepare(runs: readonly Run[]): Prepared[] | undefined {
  const prepared: Prepared[] = []
  let usable = true
  for (const { definition, env = process.env } of runs) {
    const common = readSettings(Common, env)
    const own = readSettings(definition.config, env)
    const mask = common.ok ? maskOf(common.config) : null
    if (common.ok && own.ok && mask?.ok) {
      const log = createLog(definition.name, { level: common.config.LOG_LEVEL, mask: mask.config })
      prepared.push({ definition, config: own.config, common: common.config, log })
      continue
    }
    usable = false
    const problems = new Map(
      [common, own, mask]
        .flatMap((result) => (result === null || result.ok ? [] : result.problems))
        .map(({ setting, text }) => [setting, text]),
    )
    process.stderr.write(`${definition.name}: settings that cannot be used:\n`)
    for (const text of problems.values()) process.stderr.write(`  ${text}\n`)
  }
  return usable ? prepared : undefined
}

const MIN_KEY_BYTES = 16

/** How addresses are taken out of log lines; null: they are not. */
function maskOf(common: CommonConfig): SettingsResult<ReturnType<typeof addressMask>> {
  const { LOG_ADDRESSES: form, LOG_ADDRESSES_KEY_FILE: file } = common
  if (form !== 'hash') return { ok: true, config: addressMask(form, null) }
  const setting = 'LOG_ADDRESSES_KEY_FILE'
  if (file === undefined) {
    return { ok: false, problems: [{ setting, text: `${setting} is not set: LOG_ADDRESSES=hash needs it` }] }
  }
  try {
    const key = readFileSync(file)
    if (key.length >= MIN_KEY_BYTES) return { ok: true, config: addressMask(form, key) }
    return { ok: false, problems: [{ setting, text: `${setting}: ${file} holds less than ${MIN_KEY_BYTES} bytes` }] }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { ok: false, problems: [{ setting, text: `${setting} = ${JSON.stringify(file)}: ${why}` }] }
  }
}

function onSignals(log: Logger | undefined, stop: (code: number) => void): void {
  let signals = 0
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (++signals === 1) return stop(0)
      log?.error({ signal }, 'second signal: leaving without waiting for what is in hand')
      process.exit(1)
    })
  }
  const crash = (err: unknown): never => {
    log?.fatal({ err }, 'something was thrown that nobody caught')
    process.exit(EX_SOFTWARE)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
}
