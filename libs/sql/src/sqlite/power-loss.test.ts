import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { isAvailable, keptAfterPowerLoss } from '@postbus/testkit/power-loss'

import { migrate } from '../migrate.ts'
import { openSqlite } from './database.ts'

interface Tables {
  item: { id: number; bytes: Uint8Array }
}

const skip = isAvailable() ? false : 'needs root, /dev/fuse and libfuse3'
const COMMITS = 20
const migrations = [{ name: '0001', sqlite: 'create table item (id integer primary key, bytes blob not null) strict' }]

for (const flushBeside of [false, true]) {
  test(
    `what was committed is there after a loss of power, from the first commit in a new directory on${flushBeside ? '; flushed beside' : ''}`,
    { skip },
    async (t) => {
      await keptAfterPowerLoss(t, async (dir, durable) => {
        // Few pages of log, so that checkpoints happen in between.
        const db = openSqlite<Tables>(join(dir, 'new', 'db', 'test.sqlite'), { checkpointPages: 20, flushBeside })
        await migrate(db, migrations)
        for (let id = 1; id <= COMMITS; id++) {
          const bytes = new Uint8Array(3000).fill(id)
          await db.transaction(({ query }) => query.insertInto('item').values({ id, bytes }).execute())
          durable(async (tree) => {
            const found = openSqlite<Tables>(join(tree, 'new', 'db', 'test.sqlite'))
            const row = await found.query.selectFrom('item').selectAll().where('id', '=', id).executeTakeFirst()
            await found.close()
            assert.deepEqual(row, { id, bytes })
          })
        }
        await db.close()
      })
    },
  )
}
