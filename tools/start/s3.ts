/**
 * The scale-out profile's S3 server, where nobody names another: OpenStack Swift of Debian's package with its S3 API, one bucket, keys
 * made at the first start. For one machine; it keeps one copy.
 */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import aws4 from 'aws4'

import { Missing } from './missing.ts'
import { LOOPBACK } from './plan.ts'
import { secretIn } from './secret.ts'
import { supervise, type Supervised, type SupervisorEvents } from './supervisor.ts'

/** Debian's own, which has Debian's modules; the one on PATH may be another. */
const PYTHON = '/usr/bin/python3'
const SWIFT = '/usr/lib/python3/dist-packages/swift/__init__.py'
const PROGRAM = join(import.meta.dirname, '..', '..', 'libs', 'testkit', 'bin', 's3-server.py')
const BUCKET = 'postbus'
const REGION = 'us-east-1'
const ACCESS_KEY = 'postbus:postbus'
const STOP_MS = 10_000
const READY_MS = 60_000
const POLL_MS = 100

export interface S3Options {
  port: number
  data: string
  keys: string
  logFile: string
  events: SupervisorEvents
}

/** Resolves when it has its bucket. @throws Missing */
export async function startS3({ port, data, keys, logFile, events }: S3Options): Promise<{
  server: Supervised
  /** `s3://bucket` */
  location: string
  settings: Record<string, string>
}> {
  if (!existsSync(SWIFT)) {
    throw new Missing('no S3 server is installed (apt-get install python3-swift); or keep bytes elsewhere: --bytes')
  }
  const secretAccessKey = await secretIn(join(keys, 's3.secret'))
  const directory = join(data, 's3')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const server = supervise(
    {
      ...{ name: 's3', command: PYTHON, args: [PROGRAM, directory, String(port), ACCESS_KEY, secretAccessKey] },
      // It ends by itself when its standard input does.
      ...{ lifeline: 'stdin', env: {}, logFile, stopMs: STOP_MS },
    },
    events,
  )
  try {
    await makeBucket(port, secretAccessKey, logFile)
  } catch (error) {
    await server.stop()
    throw error
  }
  return {
    server,
    location: `s3://${BUCKET}`,
    settings: {
      S3_ENDPOINT: `http://${LOOPBACK}:${port}`,
      S3_REGION: REGION,
      S3_ACCESS_KEY_ID: ACCESS_KEY,
      S3_SECRET_ACCESS_KEY: secretAccessKey,
    },
  }
}

async function makeBucket(port: number, secretAccessKey: string, logFile: string): Promise<void> {
  for (const deadline = Date.now() + READY_MS; ;) {
    const { path, headers } = aws4.sign(
      { service: 's3', region: REGION, method: 'PUT', host: `${LOOPBACK}:${port}`, path: `/${BUCKET}` },
      { accessKeyId: ACCESS_KEY, secretAccessKey },
    )
    const answer = await fetch(`http://${LOOPBACK}:${port}${path}`, { method: 'PUT', headers: strings(headers) }).catch(
      () => null,
    )
    // 409: it is there already.
    if (answer?.ok || answer?.status === 409) return
    if (Date.now() > deadline) throw new Missing(`the S3 server does not answer; see ${logFile}`)
    await pause(POLL_MS)
  }
}

/** `host` is the client's to say. */
const strings = (headers: aws4.Request['headers'] = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (/^host$/i.test(name) ? [] : [[name, String(value)]])),
  )
