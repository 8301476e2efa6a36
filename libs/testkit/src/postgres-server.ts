/**
 * A real PostgreSQL: one server per test process on a loopback port, an empty database for each test. Its default order of text is that of
 * a language, as on most servers: a column that is to be compared byte by byte has to say so. The server can be stopped and started on the
 * same port and data; tests that do so must not run beside others of their process.
 */
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { appendFile, chmod, chown, open, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

import { issueCertificate } from './certificate.ts'
import { freePort } from './free-port.ts'

export interface PostgresServer {
  /** The test's own database, as its owner, who is nobody else in the server. */
  readonly url: string
  /** PEM file: who signed the certificate of `localhost`. */
  readonly caFile: string
  /** Runs SQL in the test's database as administrator. @returns what psql prints: rows as lines, columns divided by `|` */
  administer(sql: string): Promise<string>
  /** Ends it without a word to its clients, as a crash does; `fast` says good-bye to them. */
  stop(how?: 'crash' | 'fast'): Promise<void>
  /** After `stop`. Resolves when it answers. */
  start(): Promise<void>
  /** Stops the processes that serve clients, as a stalled host does: connections stay, nothing answers. */
  pause(): void
  resume(): void
}

interface Cluster {
  readonly port: number
  readonly directory: string
  readonly caFile: string
  psql(database: string, ...statements: string[]): Promise<string>
  stop(how: 'crash' | 'fast'): Promise<void>
  start(): Promise<void>
  signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void
}

const READY_TIMEOUT_MS = 60_000
const POLL_MS = 20
const PASSWORD = 'of no importance'
const DEBIAN = '/usr/lib/postgresql'
const run = promisify(execFile)

let cluster: Promise<Cluster> | undefined
let databases = 0

/** Of a test, or of whatever needs one for a while. */
interface Scope {
  after(clean: () => Promise<void> | void): void
}

export async function startPostgres(t: Scope): Promise<PostgresServer> {
  cluster ??= startCluster()
  const { port, caFile, psql, stop, start, signalAll } = await cluster
  const name = `test_${++databases}`
  await psql('postgres', `create role ${name} login password '${PASSWORD}'`, `create database ${name} owner ${name}`)
  t.after(async () => {
    signalAll('SIGCONT')
    await start()
  })
  return {
    url: `postgres://${name}:${encodeURIComponent(PASSWORD)}@localhost:${port}/${name}`,
    caFile,
    administer: (sql) => psql(name, sql),
    stop: (how = 'crash') => stop(how),
    start,
    pause: () => signalAll('SIGSTOP'),
    resume: () => signalAll('SIGCONT'),
  }
}

/** PostgreSQL refuses to run as root; Debian's package brings a user for it. */
async function serverUser(): Promise<{ uid: number; gid: number } | null> {
  if (process.getuid?.() !== 0) return null
  const [uid, gid] = await Promise.all(['-u', '-g'].map((which) => run('id', [which, 'postgres'])))
  return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) }
}

/** Debian keeps the servers of all versions beside each other, out of the path. */
function programs(): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN) : []
  const bins = versions.map((version) => join(DEBIAN, version, 'bin'))
  const newest = bins.filter((bin) => existsSync(join(bin, 'postgres'))).at(-1)
  if (newest === undefined) throw new Error('PostgreSQL is missing: apt-get install postgresql')
  return newest
}

async function startCluster(): Promise<Cluster> {
  const bin = programs()
  const user = await serverUser()
  const owner = user ?? {}
  const directory = mkdtempSync(join(tmpdir(), 'postbus-postgres-'))
  if (user !== null) chownSync(directory, user.uid, user.gid)
  const data = join(directory, 'data')
  const log = join(directory, 'log')

  const locale = ['--encoding=UTF8', '--locale=C.UTF-8', '--locale-provider=icu', '--icu-locale=en-US']
  const rights = ['--username=postgres', '--auth-local=trust', '--auth-host=scram-sha-256']
  await run(join(bin, 'initdb'), ['-D', data, '--no-sync', ...locale, ...rights], { cwd: directory, ...owner })
  const port = await freePort()
  const caFile = await writeCertificate(directory, data, user)
  await appendFile(join(data, 'postgresql.conf'), settings(directory, port))

  // Also a test process that is killed leaves no server behind.
  const asOwner = [
    '--pdeathsig',
    'QUIT',
    ...(user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : []),
  ]
  let child: ChildProcess | undefined

  const psql = async (database: string, ...statements: string[]): Promise<string> => {
    const where = ['-h', directory, '-p', String(port), '-U', 'postgres', '-d', database]
    const commands = statements.flatMap((sql) => ['-c', sql])
    return (await run(join(bin, 'psql'), [...where, '-qXAt', '-v', 'ON_ERROR_STOP=1', ...commands])).stdout.trim()
  }
  const start = async (): Promise<void> => {
    if (child !== undefined) return
    const output = await open(log, 'a')
    const started = spawn('setpriv', [...asOwner, join(bin, 'postgres'), '-D', data], {
      cwd: directory,
      stdio: ['ignore', output.fd, output.fd],
    })
    await output.close()
    child = started
    // The tests may end while it runs: then it does too.
    started.unref()
    const deadline = Date.now() + READY_TIMEOUT_MS
    while (!(await answers(psql))) {
      if (started.exitCode !== null || Date.now() > deadline) {
        throw new Error(`PostgreSQL did not start:\n${readFileSync(log, 'utf8').slice(-20_000)}`)
      }
      await delay(POLL_MS)
    }
  }
  const stop = async (how: 'crash' | 'fast'): Promise<void> => {
    const running = child
    child = undefined
    if (running === undefined) return
    const gone = once(running, 'exit')
    running.ref()
    running.kill(how === 'crash' ? 'SIGQUIT' : 'SIGINT')
    await gone
  }
  process.once('exit', () => {
    // Until it is gone it writes into what is being removed.
    if (child !== undefined)
      spawnSync(join(bin, 'pg_ctl'), ['stop', '-D', data, '-m', 'immediate'], { ...owner, cwd: directory })
    rmSync(directory, { recursive: true, force: true })
  })
  await start()
  return {
    ...{ port, directory, caFile, psql, start, stop },
    signalAll(signal) {
      for (const pid of serving(child?.pid)) {
        try {
          process.kill(pid, signal)
        } catch (error) {
          // A process of a connection that has ended since they were listed.
          if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
        }
      }
    },
  }
}

/** A crash of the machine is no subject of tests with this server, so it flushes nothing. */
const settings = (directory: string, port: number): string => `
listen_addresses = 'localhost'
port = ${port}
unix_socket_directories = '${directory}'
ssl = on
fsync = off
max_connections = 200
shared_buffers = 64MB
logging_collector = off
`

async function writeCertificate(
  directory: string,
  data: string,
  user: { uid: number; gid: number } | null,
): Promise<string> {
  const { cert, key } = await issueCertificate({})
  const caFile = join(directory, 'ca.pem')
  const keyFile = join(data, 'server.key')
  const files = { [caFile]: cert, [join(data, 'server.crt')]: cert, [keyFile]: key }
  for (const [path, text] of Object.entries(files)) {
    await writeFile(path, text)
    if (user !== null) await chown(path, user.uid, user.gid)
  }
  await chmod(keyFile, 0o600)
  return caFile
}

async function answers(psql: Cluster['psql']): Promise<boolean> {
  try {
    await psql('postgres', 'select 1')
    return true
  } catch {
    return false
  }
}

/** The server itself last: it would replace nobody meanwhile. */
function serving(pid: number | undefined): number[] {
  if (pid === undefined) return []
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return [...children.split(' ').filter(Boolean).map(Number), pid]
}
