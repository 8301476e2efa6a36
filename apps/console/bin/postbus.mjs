#!/usr/bin/env -S node --
/** Runs the `postbus` command under the pinned Node of the checkout, whatever `node` on PATH is. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const modules = join(here, '..', '..', '..', 'node_modules')
const pinned = join(modules, '.bin', 'node')
const main = join(here, '..', 'src', 'cli', 'main.ts')
// Behind -- no option of ours is one of Node's (--env-file).
const command = ['--', main, ...process.argv.slice(2)]
const { status, signal } = spawnSync(existsSync(pinned) ? pinned : process.execPath, command, {
  stdio: 'inherit',
  // As for what npm's scripts start: modules are compiled once.
  env: { NODE_COMPILE_CACHE: join(modules, '.cache', 'compiled'), ...process.env },
})
process.exitCode = status ?? (signal ? 130 : 70)
