/** The spool and large bytes in PostgreSQL, and in S3, whose server is gone for a while: nothing is missing, nothing stands twice. */
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { startPostgres, startS3 } from '@postbus/testkit'

import { isEmbeddedOnly } from '../platform.ts'
import { type Fault, keepPromises, long, platformUnderLoad } from '../under-load.ts'

/** As long as it takes to start one anew; senders wait meanwhile. */
const GONE_MS = long ? 20_000 : 3000

interface Server {
  stop(): Promise<void>
  start(): Promise<void>
}

const goneForAWhile =
  ({ stop, start }: Server): Fault =>
  async () => {
    await stop()
    await pause(GONE_MS)
    await start()
  }

test('bytes in PostgreSQL, which goes under load: nothing is missing, nothing stands twice', async (t) => {
  if (isEmbeddedOnly(t, 'the scale-out profile has a PostgreSQL of its own')) return
  const server = await startPostgres(t)
  const it = await platformUnderLoad(t, { SPOOL: server.url, BLOBS: server.url })
  const gone = goneForAWhile({ stop: () => server.stop('crash'), start: () => server.start() })
  await keepPromises(t, it, { faults: long ? [gone, gone, gone] : [gone], messages: long ? 3000 : 200 })
})

if (long) test('bytes in S3, whose server goes under load: nothing is missing, nothing stands twice', inS3)

async function inS3(t: TestContext): Promise<void> {
  if (isEmbeddedOnly(t, 'the scale-out profile has an S3 server of its own')) return
  const server = await startS3(t)
  const bucket = `s3://${server.bucket}`
  const it = await platformUnderLoad(t, {
    ...{ SPOOL: `${bucket}/spool`, BLOBS: `${bucket}/blobs`, S3_ENDPOINT: server.endpoint },
    ...{ S3_ACCESS_KEY_ID: server.accessKeyId, S3_SECRET_ACCESS_KEY: server.secretAccessKey },
  })
  const gone = goneForAWhile({ stop: () => server.kill(), start: () => server.start() })
  await keepPromises(t, it, { faults: [gone, gone], messages: 200 })
}
