/** npm start — a whole platform on this machine's ports, with a data directory that stays; and `npm start -- scale` while it runs. */
import { join } from 'node:path'

import { layoutOf } from '@postbus/profile'

import { give } from './control.ts'
import { parseCommand, usage, UsageError, type Command, type ScaleOptions } from './options.ts'
import { startPlatform } from './platform.ts'

const root = join(import.meta.dirname, '..', '..')

let command: Command
try {
  command = parseCommand(process.argv.slice(2), root)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n\n${usage}`)
  process.exit(64)
}
if (command.kind === 'help') process.stdout.write(usage)
else process.exitCode = await (command.kind === 'start' ? startPlatform(command.options, root) : scale(command.options))

async function scale({ data, replicas }: ScaleOptions): Promise<number> {
  try {
    const answer = await give(layoutOf(data).control, { scale: replicas })
    if ('refused' in answer) throw new Error(answer.refused)
    process.stdout.write(`${answer.done}\n`)
    return 0
  } catch (error) {
    process.stderr.write(`not scaled: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}
