/**
 * A real S3 server for tests: OpenStack Swift with its S3 API, on loopback, with one bucket. It can be killed and started again
 * on the same port with the same objects.
 *
 * Parts of an upload may be of any size. It knows no conditional writes: `startS3Proxy` puts them in front of it.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

import aws4 from 'aws4'

import { freePort } from './free-port.ts'

/** Of a test, or of a suite whose tests share one server. */
interface Scope {
  after(clean: () => Promise<void> | void): void
}

export interface S3Server {
  /** `http://127.0.0.1:port` */
  readonly endpoint: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Resolves when the process is gone. */
  kill(): Promise<void>
  /** After `kill`. Resolves when it answers. */
  start(): Promise<void>
}

/** Debian's own, which has Debian's modules; the one on PATH may be another. */
const PYTHON = '/usr/bin/python3'
const PROGRAM = fileURLToPath(new URL('../bin/s3-server.py', import.meta.url))
const BUCKET = 'postbus'
const credentials = { accessKeyId: 'test:tester', secretAccessKey: 'testing' }

type Child = ChildProcessByStdio<Writable, Readable, Readable>

export async function startS3(t: Scope): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), 'postbus-s3-'))
  const port = await freePort()
  let child: Child | undefined

  async function start(): Promise<void> {
    const started: Child = spawn(
      PYTHON,
      [PROGRAM, directory, String(port), credentials.accessKeyId, credentials.secretAccessKey],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    )
    child = started
    await answering(started)
    await makeBucket(port)
  }

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  t.after(async () => {
    await kill()
    await rm(directory, { recursive: true, force: true })
  })
  await start()
  return { endpoint: `http://127.0.0.1:${port}`, bucket: BUCKET, ...credentials, start, kill }
}

/** @throws with what it said when it ended instead */
async function answering(child: Child): Promise<void> {
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)))
  const port = once(child.stdout, 'data')
  const ended = once(child, 'exit').then(() => {
    throw new Error(`the S3 server ended; is Debian's python3-swift installed?\n${said}`)
  })
  ended.catch(() => undefined)
  await Promise.race([port, ended])
}

async function makeBucket(port: number): Promise<void> {
  const signed = aws4.sign(
    { service: 's3', region: 'us-east-1', method: 'PUT', host: `127.0.0.1:${port}`, path: `/${BUCKET}` },
    credentials,
  )
  const asked = request({ host: '127.0.0.1', port, method: 'PUT', path: signed.path, headers: signed.headers }).end()
  const [answer] = await once(asked, 'response')
  answer.resume()
  // After a restart it is there already.
  if (answer.statusCode !== 200 && answer.statusCode !== 409) throw new Error(`no bucket: ${answer.statusCode}`)
}
