/** The spool and large bytes in PostgreSQL, whose server is gone for a while: nothing is missing, nothing stands twice. */
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { startPostgres } from '@postbus/testkit'

import { isEmbeddedOnly } from '../platform.ts'
import { type Fault, keepPromises, long, platformUnderLoad } from '../under-load.ts'

/** As long as it takes to start one anew; senders wait meanwhile. */
const GONE_MS = long ? 20_000 : 3000

test('bytes in PostgreSQL, which goes under load: nothing is missing, nothing stands twice', async (t) => {
  if (isEmbeddedOnly(t, 'the scale-out profile has a PostgreSQL of its own')) return
  const server = await startPostgres(t)
  const it = await platformUnderLoad(t, { SPOOL: server.url, BLOBS: server.url })
  const gone: Fault = async () => {
    await server.stop('crash')
    await pause(GONE_MS)
    await server.start()
  }
  await keepPromises(t, it, {
    faults: Array.from({ length: long ? 5 : 1 }, () => gone),
    messages: long ? 3000 : 200,
  })
})
