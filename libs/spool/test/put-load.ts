/**
 * Puts records at a fixed concurrency, reads and frees them, and prints a line about each:
 *   node libs/spool/test/put-load.ts [records] [at once] [octets] [location]
 * The location is a directory of its own, or `s3` or `postgres` for a server of its own, or one that is there, with its settings in the
 * environment. For counting system calls: strace -f -c -e trace=fsync,fdatasync node …
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

import { bytesSettingsIn } from '@postbus/blobs'
import type { QueueId } from '@postbus/contracts'
import { startPostgres, startS3 } from '@postbus/testkit'

import { openSpoolKeeper, openSpoolReader, openSpoolWriter } from '../src/index.ts'
import { acceptedAs, bytesOf, queueIds } from './samples.ts'

const [records = 5000, atOnce = 50, octets = 10_240] = process.argv.slice(2, 5).map(Number)
const cleaning: (() => Promise<void> | void)[] = []
const scope = { after: (clean: () => Promise<void> | void) => void cleaning.unshift(clean) }

async function placeOf(
  kind: string | undefined,
): Promise<{ location: string; env: Record<string, string | undefined> }> {
  if (kind === 'postgres') return { location: (await startPostgres(scope)).url, env: process.env }
  if (kind === 's3') {
    const { endpoint, bucket, accessKeyId, secretAccessKey } = await startS3(scope)
    const keys = { S3_ENDPOINT: endpoint, S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey }
    return { location: `s3://${bucket}/load`, env: { ...keys, S3_TRY_MS: '30000', S3_DEADLINE_MS: '120000' } }
  }
  if (kind !== undefined) return { location: kind, env: process.env }
  const dir = await mkdtemp(join(tmpdir(), 'postbus-put-load-'))
  scope.after(() => rm(dir, { recursive: true }))
  return { location: dir, env: process.env }
}

async function measured(
  what: string,
  work: (next: () => number | null) => Promise<void>,
  atOnce: number,
): Promise<void> {
  const [begun, cpuBegun] = [performance.now(), process.cpuUsage()]
  let at = 0
  const next = (): number | null => (at < records ? at++ : null)
  await Promise.all(Array.from({ length: atOnce }, () => work(next)))
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpuBegun)
  process.stdout.write(
    `${what}: ${Math.round(records / seconds)}/s, ${((user + system) / 1000 / records).toFixed(3)} ms of CPU each\n`,
  )
}

const { location, env } = await placeOf(process.argv[5])
const settings = bytesSettingsIn(env)
let flushes = 0
const writer = await openSpoolWriter(location, { settings, writerName: 'load', onFlush: () => flushes++ })
const [reader, keeper] = [await openSpoolReader(location, { settings }), await openSpoolKeeper(location, { settings })]
const nextId = queueIds()
const bytes = Buffer.alloc(octets, 'x')
const ids: QueueId[] = []
// What opens connections and makes tables is not counted.
await writer.put(nextId(), bytesOf(bytes), (size) => acceptedAs(nextId(), size))

process.stdout.write(`${records} records of ${octets} octets, ${atOnce} at once\n`)
await measured(
  'put',
  async (next) => {
    while (next() !== null) {
      const queueId = nextId()
      await writer.put(queueId, bytesOf(bytes), (size) => acceptedAs(queueId, size))
      ids.push(queueId)
    }
  },
  atOnce,
)
if (flushes > 0) process.stdout.write(`${flushes} flushes\n`)
await measured(
  'read',
  async (next) => {
    for (let at = next(); at !== null; at = next()) {
      const record = await reader.open(ids[at] ?? nextId())
      await Array.fromAsync(record.read())
      await record.close()
    }
  },
  atOnce,
)
await measured('free', async () => keeper.free(ids), 1)
await Promise.all([writer.close(), reader.close(), keeper.close()])
for (const clean of cleaning) await clean()
