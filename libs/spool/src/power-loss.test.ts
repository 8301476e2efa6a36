import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import type { QueueId } from '@postbus/contracts'
import { isAvailable, keptAfterPowerLoss } from '@postbus/testkit/power-loss'

import { acceptedAs, bytesOf, contentOf, queueIds, whole } from '../test/samples.ts'
import { openSpoolKeeper, openSpoolReader, openSpoolWriter } from './index.ts'

const skip = isAvailable() ? false : 'needs root, /dev/fuse and libfuse3'
const ROUNDS = 12
/** Three that share a segment and one with a file of its own. */
const SIZES = [500, 3000, 20_000, 90_000]
/** Small enough that every round begins a segment and every fourth message has its own file. */
const limits = { holdMaxBytes: 64 * 1024, segmentMaxBytes: 20_000 }

const inAnHour = (): Date => new Date(Date.now() + 3600_000)

async function isReadable(dir: string, queueId: QueueId, size: number): Promise<void> {
  const reader = await openSpoolReader(dir)
  try {
    const record = await reader.open(queueId)
    assert.ok((await whole(record.read())).equals(contentOf(queueId, size)), queueId)
    await record.close()
  } finally {
    await reader.close()
  }
}

/** None of these is listed, and nothing listed is damaged. */
async function areFreed(dir: string, queueIds: readonly QueueId[]): Promise<void> {
  const keeper = await openSpoolKeeper(dir, { onDamage: (_, cause) => assert.fail(cause) })
  try {
    for await (const { accepted } of keeper.list()) assert.ok(!queueIds.includes(accepted.queueId), accepted.queueId)
  } finally {
    await keeper.close()
  }
}

test(
  'a record that was put is there after a loss of power, one that was freed never comes back',
  { skip },
  async (t) => {
    await keptAfterPowerLoss(t, async (dir, durable) => {
      const spool = join(dir, 'spool')
      const found = (tree: string): string => join(tree, 'spool')
      const writer = await openSpoolWriter(spool, { ...limits, writerName: 'test' })
      const keeper = await openSpoolKeeper(spool)
      const next = queueIds()
      for (let round = 0; round < ROUNDS; round++) {
        const put = SIZES.map((size) => ({ size, queueId: next() }))
        await Promise.all(
          put.map(async ({ size, queueId }, index) => {
            await writer.put(queueId, bytesOf(contentOf(queueId, size)), (octets) => acceptedAs(queueId, octets))
            // The others are freed below.
            if (index % 2 === round % 2) durable((tree) => isReadable(found(tree), queueId, size))
          }),
        )
        const freed = put.filter((_, index) => index % 2 !== round % 2).map(({ queueId }) => queueId)
        await keeper.free(freed)
        durable((tree) => areFreed(found(tree), freed))
        if (round % 4 === 3) await keeper.compact(inAnHour())
      }
      await writer.close()
      await keeper.compact(inAnHour())
      await keeper.sweep(inAnHour())
      await keeper.close()
    })
  },
)
