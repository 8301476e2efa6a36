/** npm start — the embedded profile: nats-server and every service on loopback ports, with a data directory that stays. */
import { join } from 'node:path'

import { startOptions, usage, UsageError, type StartOptions } from './options.ts'
import { startPlatform } from './platform.ts'

const root = join(import.meta.dirname, '..', '..')

let options: StartOptions | null
try {
  options = startOptions(process.argv.slice(2), root)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n\n${usage}`)
  process.exit(64)
}
if (options === null) {
  process.stdout.write(usage)
  process.exit(0)
}
process.exitCode = await startPlatform(options, root)
