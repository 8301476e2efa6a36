/** Runs one command of the workspace, its output passed through and kept. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..', '..')

export interface Outcome {
  code: number
  output: string
}

export async function run(command: string, args: string[], options: { quiet?: boolean } = {}): Promise<Outcome> {
  const child = spawn(join(root, 'node_modules', '.bin', command), args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      // The same answer on a laptop, in CI and in a fresh clone: no daemon, no cloud, nobody asked.
      NX_DAEMON: 'false',
      NX_NO_CLOUD: 'true',
      NX_TUI: 'false',
      FORCE_COLOR: '0',
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (options.quiet !== true) process.stdout.write(text)
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? 1, output }
}
