/**
 * The scale-out profile's PostgreSQL, where nobody names another: Debian's programs, a data directory beside everything else, one
 * database, one role whose password is made at the first start. It flushes what it confirms.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

import { guarded } from './guarded.ts'
import { Missing } from './missing.ts'
import { LOOPBACK, LOOPBACK_NAME } from './plan.ts'
import { secretIn } from './secret.ts'
import { supervise, type Supervised, type SupervisorEvents } from './supervisor.ts'

const run = promisify(execFile)

/** Debian keeps the servers of all versions beside each other, out of the path. */
const DEBIAN = '/usr/lib/postgresql'
const NAME = 'postbus'
/** Of all replicas of all services that keep tables. */
const MAX_CONNECTIONS = 400
const STOP_MS = 30_000
const READY_MS = 60_000
const POLL_MS = 50

export interface PostgresOptions {
  port: number
  data: string
  keys: string
  logFile: string
  events: SupervisorEvents
}

/** Resolves when it takes connections. @throws Missing */
export async function startPostgres(options: PostgresOptions): Promise<{ server: Supervised; url: string }> {
  const { port, keys, logFile, events } = options
  const bin = await programs()
  const user = await serverUser()
  const directory = join(options.data, 'postgres')
  const password = await secretIn(join(keys, 'postgres.password'))
  await makeCluster(bin, directory, user, password)
  const pidFile = join(directory, 'server.pid')
  const settings = {
    port: String(port),
    listen_addresses: LOOPBACK,
    unix_socket_directories: '',
    max_connections: String(MAX_CONNECTIONS),
    external_pid_file: pidFile,
  }
  const [command = '', ...args] = [
    ...asUser(user),
    ...[join(bin, 'postgres'), '-D', directory],
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  // The quick stop: connections are closed, what is under way in them is undone.
  const server = supervise(
    { name: 'postgres', ...guarded(command, args, 'INT'), env: {}, logFile, pidFile, stopMs: STOP_MS },
    events,
  )
  const psql = (database: string, sql: string): Promise<string> =>
    run(join(bin, 'psql'), ['-h', LOOPBACK, '-p', String(port), '-U', NAME, '-d', database, '-qXAtc', sql], {
      env: { ...process.env, PGPASSWORD: password },
    }).then(({ stdout }) => stdout.trim())
  try {
    await untilAnswers(psql, logFile)
    const there = await psql('postgres', `select 1 from pg_database where datname = '${NAME}'`)
    if (there === '') await psql('postgres', `create database ${NAME}`)
  } catch (error) {
    await server.stop()
    throw error
  }
  return { server, url: `postgres://${NAME}:${encodeURIComponent(password)}@${LOOPBACK_NAME}:${port}/${NAME}` }
}

async function programs(): Promise<string> {
  const versions = (await readdir(DEBIAN).catch(() => [])).map(Number).filter(Number.isInteger)
  if (versions.length === 0) {
    throw new Missing('PostgreSQL is not installed (apt-get install postgresql); or name one: --postgres URL')
  }
  return join(DEBIAN, String(Math.max(...versions)), 'bin')
}

interface User {
  uid: number
  gid: number
}

/** It refuses to run as root; Debian's package brings a user for it. Null: we are not root, and it runs as we do. */
async function serverUser(): Promise<User | null> {
  if (process.getuid?.() !== 0) return null
  const [uid, gid] = await Promise.all(['-u', '-g'].map((which) => run('id', [which, 'postgres'])))
  return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) }
}

const asUser = (user: User | null): string[] =>
  user === null ? [] : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']

/** Made under another name first: one that was interrupted is begun anew. */
async function makeCluster(bin: string, directory: string, user: User | null, password: string): Promise<void> {
  if (existsSync(directory)) return
  const draft = `${directory}.new`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { mode: 0o700 })
  const secret = `${draft}.password`
  await writeFile(secret, password, { mode: 0o600 })
  if (user !== null) for (const path of [draft, secret]) await chown(path, user.uid, user.gid)
  const [command = '', ...args] = [
    ...asUser(user),
    ...[join(bin, 'initdb'), '-D', draft, `--username=${NAME}`, '--auth=scram-sha-256', `--pwfile=${secret}`],
    ...['--encoding=UTF8', '--locale=C.UTF-8'],
  ]
  try {
    await run(command, args, { cwd: '/' })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error)
    const hint = /ermission denied/.test(said)
      ? `; its user must be able to enter ${directory}, or name a server: --postgres URL`
      : ''
    throw new Missing(`PostgreSQL could not be set up: ${said}${hint}`, { cause: error })
  } finally {
    await rm(secret)
  }
  await rename(draft, directory)
}

async function untilAnswers(psql: (database: string, sql: string) => Promise<string>, logFile: string): Promise<void> {
  for (const deadline = Date.now() + READY_MS; ;) {
    try {
      await psql('postgres', 'select 1')
      return
    } catch (cause) {
      if (Date.now() > deadline) throw new Missing(`PostgreSQL does not answer; see ${logFile}`, { cause })
    }
    await pause(POLL_MS)
  }
}
