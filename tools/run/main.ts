/**
 * run — any services in one process: `node tools/run/main.ts router delivery`.
 *
 * Settings come from the environment; with POSTBUS_SETTINGS, a JSON file `{instance: {NAME: value}}`, each instance gets its own on
 * top (`router-2` is a second router). Started with an IPC channel it stops when the channel closes: nothing outlives its starter.
 */
import { readFile } from 'node:fs/promises'

import { runServices } from '@postbus/service'
import { z } from 'zod'

import { isServiceName, loadService, serviceNames, type ServiceName } from './services.ts'

const Settings = z.record(z.string(), z.record(z.string(), z.string()))

const names = process.argv.slice(2)
const unknown = names.filter((name) => !isServiceName(serviceOf(name)))
if (names.length === 0 || unknown.length > 0) {
  process.stderr.write(`usage: run <service …>, of ${serviceNames.join(', ')}; not ${unknown.join(', ')}\n`)
  process.exit(64)
}

process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
process.channel?.unref() // It tells when our starter ends; it must not keep us when our work has.

const file = process.env['POSTBUS_SETTINGS']
const settings = file === undefined ? {} : Settings.parse(JSON.parse(await readFile(file, 'utf8')))
const runs = names.map(async (name) => ({
  definition: await loadService(serviceOf(name)),
  env: { ...process.env, ...settings[name] },
}))
await runServices(await Promise.all(runs))

function serviceOf(instance: string): ServiceName {
  return instance.replace(/-\d+$/, '') as ServiceName // checked above for every name
}
