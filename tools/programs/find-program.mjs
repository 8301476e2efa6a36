/**
 * Finds a program new enough for us, or fetches one into a directory of the project; nothing of the system is touched.
 *
 *   1. on PATH                when its version suffices
 *   2. the project's cache    `<cache>/<name>`
 *   3. the sources, in order  each unpacks into a directory of its own
 *
 * Any number of callers may run at once: what was fetched is proved to run and renamed into place, so that a caller sees the
 * old file, or the whole new one.
 *
 * Plain JavaScript, because it runs before the pinned Node is there: Node 18 and later.
 */
import { execFile } from 'node:child_process'
import { access, chmod, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const VERSION_TIMEOUT_MS = 10_000

/**
 * @typedef {object} Program
 * @property {string} name the command
 * @property {string} minimum the oldest version that will do, `1.2.3`
 * @property {string[]} version the words that make it say its version; the first `v1.2.3` it says counts
 * @property {[string, (work: string) => Promise<string>][]} sources what it is called, and a function that leaves the binary
 *   somewhere below `work` and answers its path
 */

/**
 * @param {Program} program
 * @param {{ cache: string, env?: Record<string, string | undefined>, log?: (line: string) => void }} options
 * @returns {Promise<string>} a path
 */
export async function findProgram(program, { cache, env = process.env, log = () => {} }) {
  const cached = join(cache, program.name)
  const failures = []
  for (const candidate of [...onPath(program.name, env), cached]) {
    const problem = await problemOf(candidate, program)
    if (problem === null) return candidate
    failures.push(`${candidate}: ${problem}`)
  }

  await mkdir(cache, { recursive: true })
  for (const [source, fetchInto] of program.sources) {
    const work = await mkdtemp(join(cache, 'fetch-'))
    try {
      log(`${program.name}: trying the ${source}`)
      const binary = await fetchInto(work)
      await chmod(binary, 0o755)
      const problem = await problemOf(binary, program)
      if (problem !== null) throw new Error(problem)
      await rename(binary, cached)
      return cached
    } catch (error) {
      failures.push(`${source}: ${firstLine(error)}`)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  throw new Error(
    `no ${program.name} ${program.minimum} or later:\n  ${failures.join('\n  ')}\n` +
      `Install one on PATH, or put the binary at ${cached}.`,
  )
}

function onPath(name, env) {
  return (env.PATH ?? '')
    .split(':')
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, name))
}

/** @returns {Promise<string | null>} why this file will not do, or null */
async function problemOf(file, { version: words, minimum }) {
  try {
    await access(file, constants.X_OK)
  } catch {
    return 'not there'
  }
  try {
    const { stdout } = await run(file, words, { timeout: VERSION_TIMEOUT_MS })
    const version = /v(\d+)\.(\d+)\.(\d+)/.exec(stdout)
    if (version === null) return `says ${JSON.stringify(stdout.trim())} instead of a version`
    return atLeast(version.slice(1).map(Number), minimum.split('.').map(Number)) ? null : `is ${version[0]}`
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

/** What a failed command said itself is worth more than "Command failed". */
function firstLine(error) {
  const said = typeof error?.stderr === 'string' ? error.stderr.trim() : ''
  const cause = error?.cause?.message ? `: ${error.cause.message}` : ''
  return (said || `${error?.message ?? error}${cause}`).split('\n').slice(0, 2).join(' ')
}
