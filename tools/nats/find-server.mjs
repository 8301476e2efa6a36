/**
 * Finds a nats-server new enough for us, or fetches one; prints its path.
 *
 *   1. `nats-server` on PATH                       when its version suffices
 *   2. the project's cache, `.cache/nats/`         (NATS_SERVER_CACHE names another)
 *   3. the project's official release              checked against the release's own SHA256SUMS
 *   4. the Debian package of suite `sid`           on Debian and its derivatives; checked by apt against Debian's keys
 *
 * 3 and 4 unpack into the cache and touch nothing of the system. Any number of callers may run at once: each unpacks into
 * a directory of its own and renames the finished binary into place.
 *
 * Plain JavaScript, because it runs before the pinned Node is there: Node 18 and later.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  access,
  chmod,
  constants,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Older ones lose confirmed messages (holes in `sync_interval: always`) or do not know message schedules well. */
export const MINIMUM_VERSION = '2.15.1'
const RELEASE = '2.15.1'
const RELEASES = 'https://github.com/nats-io/nats-server/releases/download'
/** A machine without a way to the Internet must not wait for it. */
const CONNECT_TIMEOUT_MS = 5_000
const DOWNLOAD_TIMEOUT_MS = 120_000
const APT_TIMEOUT_MS = 300_000

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** @returns {Promise<string>} the path of a nats-server, at least MINIMUM_VERSION */
export async function findNatsServer({ env = process.env, log = (/** @type {string} */ _line) => {} } = {}) {
  const cache = resolve(env.NATS_SERVER_CACHE || join(repository, '.cache', 'nats'))
  const cached = join(cache, 'nats-server')
  const failures = []
  for (const candidate of [...onPath(env), cached]) {
    const problem = await problemOf(candidate)
    if (problem === null) return candidate
    failures.push(`${candidate}: ${problem}`)
  }

  await mkdir(cache, { recursive: true })
  for (const [name, fetchInto] of [
    ['official release', fromRelease],
    ['Debian package of suite sid', fromDebian],
  ]) {
    const work = await mkdtemp(join(cache, 'fetch-'))
    try {
      log(`nats-server: trying the ${name}`)
      const binary = await fetchInto(work)
      await chmod(binary, 0o755)
      const problem = await problemOf(binary)
      if (problem !== null) throw new Error(problem)
      await rename(binary, cached) // Atomic: a second caller sees the old file, or the whole new one.
      return cached
    } catch (error) {
      failures.push(`${name}: ${firstLine(error)}`)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  throw new Error(
    `no nats-server ${MINIMUM_VERSION} or later:\n  ${failures.join('\n  ')}\n` +
      `Install one on PATH, or put the binary at ${cached}.`,
  )
}

function onPath(env) {
  return (env.PATH ?? '')
    .split(':')
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, 'nats-server'))
}

/** @returns {Promise<string | null>} why this file will not do, or null */
async function problemOf(file) {
  try {
    await access(file, constants.X_OK)
  } catch {
    return 'not there'
  }
  try {
    const { stdout } = await run(file, ['--version'], { timeout: CONNECT_TIMEOUT_MS })
    const version = /v(\d+)\.(\d+)\.(\d+)/.exec(stdout)
    if (version === null) return `says ${JSON.stringify(stdout.trim())} instead of a version`
    return atLeast(version.slice(1).map(Number), MINIMUM_VERSION.split('.').map(Number)) ? null : `is ${version[0]}`
  } catch (error) {
    return `does not run: ${firstLine(error)}`
  }
}

function atLeast(version, minimum) {
  for (const [index, part] of minimum.entries()) {
    if (version[index] !== part) return version[index] > part
  }
  return true
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

/** apt with lists, cache and state of its own; the mirror and the signing key are the system's. */
async function fromDebian(work) {
  const { uri, signedBy } = await debianMirror()
  for (const directory of ['lists/partial', 'cache/archives/partial', 'parts', 'root']) {
    await mkdir(join(work, directory), { recursive: true })
  }
  await writeFile(join(work, 'status'), '')
  await writeFile(join(work, 'sources.list'), `deb [signed-by=${signedBy}] ${uri} sid main\n`)
  const options = {
    'Dir::Etc::SourceList': join(work, 'sources.list'),
    'Dir::Etc::SourceParts': join(work, 'parts'),
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': join(work, 'parts'),
    'Dir::State': work,
    'Dir::State::Lists': join(work, 'lists'),
    'Dir::State::Status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'APT::Sandbox::User': 'root', // Our directories are not apt's user's to write.
  }
  const apt = (...words) =>
    run('apt-get', ['-q', ...Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]), ...words], {
      cwd: work,
      timeout: APT_TIMEOUT_MS,
      env: { ...process.env, LC_ALL: 'C' },
    })
  await apt('update')
  await apt('download', 'nats-server')
  const deb = (await readdir(work)).find((name) => name.endsWith('.deb'))
  if (!deb) throw new Error('apt-get download left no package')
  await run('dpkg', ['-x', deb, 'root'], { cwd: work })
  // A copy, so that what is renamed is a plain file whatever the package makes of it (a link, an alternative).
  await cp(join(work, 'root', 'usr', 'sbin', 'nats-server'), join(work, 'nats-server'), { dereference: true })
  return join(work, 'nats-server')
}

/** The first Debian mirror in the system's sources, in either format of sources.list(5). */
async function debianMirror() {
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const files = ['/etc/apt/sources.list']
  for (const name of await readdir('/etc/apt/sources.list.d').catch(() => [])) {
    if (/\.(list|sources)$/.test(name)) files.push(join('/etc/apt/sources.list.d', name))
  }
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    for (const stanza of text.split(/\n\s*\n/)) {
      const lines = stanza.split('\n').filter((line) => !line.startsWith('#'))
      const field = (name) =>
        lines
          .find((line) => line.toLowerCase().startsWith(`${name}:`))
          ?.slice(name.length + 1)
          .trim()
      const uri = field('uris')?.split(/\s+/)[0]
      if (uri && isDebian(uri)) {
        const signedBy = field('signed-by')
        return { uri, signedBy: signedBy?.startsWith('/') ? signedBy : keyring }
      }
      for (const line of lines) {
        const words = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)/.exec(line.trim())
        if (!words || !isDebian(words[2])) continue
        const signedBy = /signed-by=(\S+)/.exec(words[1] ?? '')?.[1]
        return { uri: words[2], signedBy: signedBy ?? keyring }
      }
    }
  }
  throw new Error('no Debian mirror in the sources of apt')
}

const isDebian = (uri) => /\/debian\/?$/.test(uri)

/** What a failed command said itself is worth more than "Command failed". */
function firstLine(error) {
  const said = typeof error?.stderr === 'string' ? error.stderr.trim() : ''
  const cause = error?.cause?.message ? `: ${error.cause.message}` : ''
  return (said || `${error?.message ?? error}${cause}`).split('\n').slice(0, 2).join(' ')
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(await findNatsServer({ log: (line) => console.error(line) }))
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
