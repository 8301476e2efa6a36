#!/usr/bin/env node
/**
 * bootstrap — from a fresh clone to a running command, on any Node from 18 up.
 *
 *   node tools/start/bootstrap.mjs <start|test|check|bench|chaos> [argument …]
 *
 * Installs the locked dependencies when they are not there (or the lock file changed), then runs the command under the
 * pinned Node inside node_modules. Plain JavaScript without dependencies: it runs before there are any.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const bin = join(root, 'node_modules', '.bin')
const compiled = join(root, 'node_modules', '.cache', 'compiled')
const pinned = readFileSync(join(root, '.node-version'), 'utf8').trim()
const commands = {
  start: ['tools/start/main.ts'],
  test: ['tools/check/test.ts'],
  check: ['tools/check/check.ts'],
  bench: ['tools/bench/main.ts'],
  chaos: ['tools/chaos/main.ts'],
}

const [command, ...args] = process.argv.slice(2)
if (!Object.hasOwn(commands, command ?? '')) {
  process.stderr.write(`usage: node tools/start/bootstrap.mjs <${Object.keys(commands).join('|')}> [argument …]\n`)
  process.exit(64)
}

installDependencies()
const node = pinnedNode()
const child = spawn(node, [...commands[command].map((file) => join(root, file)), ...args], {
  stdio: 'inherit',
  // Every process started from here on finds its modules compiled; a command of one run is the next one's, too.
  env: { NODE_COMPILE_CACHE: compiled, ...process.env, PATH: `${bin}:${process.env.PATH}` },
})
// The child decides when it is done; we report how it ended.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)))

function installDependencies() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const mark = join(root, 'node_modules', '.postbus-lock')
  if (existsSync(mark) && readFileSync(mark, 'utf8') === lock) return
  if (isInstalled()) return writeFileSync(mark, lock)
  process.stderr.write('installing dependencies from package-lock.json …\n')
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
  if (npm.status !== 0) {
    process.stderr.write('npm ci failed; see its output above\n')
    process.exit(npm.status ?? 1)
  }
  writeFileSync(mark, lock)
}

/** By somebody's own `npm ci`: what npm says it installed is what is locked, but for what is for other systems. */
function isInstalled() {
  const installed = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installed)) return false
  const there = JSON.parse(readFileSync(installed, 'utf8')).packages
  const locked = Object.entries(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages)
  return locked.every(([path, { version, integrity, optional, peer, link }]) => {
    const found = there[path]
    if (found === undefined) return optional || peer || !path.includes('node_modules/')
    return link || (found.version === version && found.integrity === integrity)
  })
}

function pinnedNode() {
  const path = join(bin, 'node')
  if (existsSync(path)) {
    const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' })
    if (stdout?.trim() === `v${pinned}`) return path
  }
  if (process.version === `v${pinned}`) return process.execPath
  process.stderr.write(
    `Node ${pinned} has no package for ${process.platform}-${process.arch}; install it and run again\n`,
  )
  process.exit(1)
}
