/**
 * Finds a nats-server new enough for us, or fetches one; prints its path.
 *
 *   1. `nats-server` on PATH                       when its version suffices
 *   2. the project's cache, `.cache/nats/`         (NATS_SERVER_CACHE names another)
 *   3. the project's official release              checked against the release's own SHA256SUMS
 *   4. the Debian package of suite `sid`           on Debian and its derivatives; checked by apt against Debian's keys
 *
 * Plain JavaScript, because it runs before the pinned Node is there: Node 18 and later.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { fromDebianSid } from '../programs/debian-sid.mjs'
import { findProgram } from '../programs/find-program.mjs'

const run = promisify(execFile)

/** Older ones lose confirmed messages (holes in `sync_interval: always`) or do not know message schedules well. */
export const MINIMUM_VERSION = '2.15.1'
const RELEASE = '2.15.1'
const RELEASES = 'https://github.com/nats-io/nats-server/releases/download'
/** A machine without a way to the Internet must not wait for it. */
const CONNECT_TIMEOUT_MS = 5_000
const DOWNLOAD_TIMEOUT_MS = 120_000

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** @returns {Promise<string>} the path of a nats-server, at least MINIMUM_VERSION */
export async function findNatsServer({ env = process.env, log = (/** @type {string} */ _line) => {} } = {}) {
  return await findProgram(
    {
      name: 'nats-server',
      minimum: MINIMUM_VERSION,
      version: ['--version'],
      sources: [
        ['official release', fromRelease],
        ['Debian package of suite sid', fromDebianSid('nats-server', 'usr/sbin/nats-server')],
      ],
    },
    { cache: resolve(env.NATS_SERVER_CACHE || join(repository, '.cache', 'nats')), env, log },
  )
}

async function fromRelease(work) {
  const os = { linux: 'linux', darwin: 'darwin' }[process.platform]
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch]
  if (!os || !arch) throw new Error(`no release for ${process.platform} ${process.arch}`)
  const name = `nats-server-v${RELEASE}-${os}-${arch}`
  const archive = `${name}.tar.gz`
  // The sums come from the same release over TLS: they catch a broken download, not a forged release.
  const sums = (await download(`${RELEASES}/v${RELEASE}/SHA256SUMS`, CONNECT_TIMEOUT_MS)).toString()
  const expected = sums
    .split('\n')
    .find((line) => line.trim().endsWith(archive))
    ?.split(/\s/)[0]
  if (!expected) throw new Error(`SHA256SUMS does not name ${archive}`)
  const bytes = await download(`${RELEASES}/v${RELEASE}/${archive}`, DOWNLOAD_TIMEOUT_MS)
  const actual = createHash('sha256').update(bytes).digest('hex')
  if (actual !== expected) throw new Error(`${archive} has checksum ${actual}, not ${expected}`)
  await writeFile(join(work, archive), bytes)
  await run('tar', ['-xzf', archive], { cwd: work })
  return join(work, name, 'nats-server')
}

async function download(url, timeoutMs) {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(await findNatsServer({ log: (line) => console.error(line) }))
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
