/**
 * Finds a program the tests drive, or fetches Debian's into the project's cache, `.cache/programs/` (PROGRAMS_CACHE names
 * another); prints its path: `node tools/programs/find.mjs kubectl`.
 */
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { fromDebianSid } from './debian-sid.mjs'
import { findProgram } from './find-program.mjs'

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** Debian 12 has them too old, or not at all. Written in Go, they run without libraries of the newer suite. */
const programs = {
  kubectl: { minimum: '1.30.0', version: ['version', '--client'], path: 'usr/bin/kubectl' },
}

/**
 * @param {keyof typeof programs} name
 * @returns {Promise<string>} the path of the program
 */
export async function findDebianProgram(name, { env = process.env, log = (/** @type {string} */ _line) => {} } = {}) {
  const { path, ...program } = programs[name]
  return await findProgram(
    { name, ...program, sources: [['Debian package of suite sid', fromDebianSid(name, path)]] },
    { cache: resolve(env.PROGRAMS_CACHE || join(repository, '.cache', 'programs')), env, log },
  )
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const name = process.argv[2] ?? ''
  try {
    if (!Object.hasOwn(programs, name)) throw new Error(`one of: ${Object.keys(programs).join(', ')}`)
    console.log(await findDebianProgram(name, { log: (line) => console.error(line) }))
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
