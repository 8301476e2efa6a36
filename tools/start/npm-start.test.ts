import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..', '..')

test('a signal to npm reaches what `npm start` started, and npm waits for its end', { timeout: 60_000 }, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'npm-start-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } }
  await writeFile(join(dir, 'package.json'), JSON.stringify({ name: 'started', scripts: { start: scripts.start } }))
  await mkdir(join(dir, 'tools', 'start'), { recursive: true })
  await writeFile(
    join(dir, 'tools', 'start', 'bootstrap.mjs'),
    `process.on('SIGTERM', () => { console.log('stopped'); process.exit(0) })
     setTimeout(() => process.exit(1), 30_000)
     console.log('running')`,
  )

  // A group of its own: only npm gets the signal, as from runit.
  const npm = spawn('npm', ['start', '--silent'], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  const ended = once(npm, 'exit')
  const lines: string[] = []
  for await (const line of createInterface({ input: npm.stdout })) {
    lines.push(line)
    if (line === 'running') npm.kill('SIGTERM')
  }

  assert.deepEqual(lines, ['running', 'stopped'])
  assert.deepEqual(await ended, [0, null])
})
