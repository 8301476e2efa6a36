import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { test } from 'node:test'

import { copyDatabase, examineDatabase, openSqlite, temporaryFile } from '../index.ts'

interface Tables {
  entry: { id: number; text: string }
}

async function filled(t: Parameters<typeof temporaryFile>[0], rows: number) {
  const path = temporaryFile(t)
  const db = openSqlite<Tables>(path)
  t.after(() => db.close())
  await db.transaction(async (transaction) => {
    await transaction.exec('create table entry (id integer primary key, text text not null)')
    for (let id = 0; id < rows; id++)
      await transaction.query
        .insertInto('entry')
        .values({ id, text: 'x'.repeat(500) })
        .execute()
  })
  return { path, db }
}

test('a copy holds what was committed before it, while others write, and is for its owner only', async (t) => {
  const { path, db } = await filled(t, 100)
  const open = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const writing = db.transaction(async ({ query }) => {
    await query.insertInto('entry').values({ id: 1000, text: 'not committed' }).execute()
    open.resolve()
    await goOn.promise
  })
  await open.promise
  await copyDatabase(path, `${path}.copy`)
  goOn.resolve()
  await writing
  const copy = openSqlite<Tables>(`${path}.copy`)
  t.after(() => copy.close())
  assert.equal((await copy.query.selectFrom('entry').selectAll().execute()).length, 100)
  assert.equal((await stat(`${path}.copy`)).mode & 0o777, 0o600)
  await assert.rejects(copyDatabase(path, `${path}.copy`), { code: 'EEXIST' })
})

test('a sound database is told from a damaged one', async (t) => {
  const { path } = await filled(t, 500)
  assert.deepEqual(examineDatabase(path).problems, [])
  await copyDatabase(path, `${path}.copy`)
  const bytes = await readFile(`${path}.copy`)
  bytes.fill(0xff, 8192, 12_288)
  await writeFile(`${path}.copy`, bytes)
  assert.notDeepEqual(examineDatabase(`${path}.copy`).problems, [])
  await writeFile(`${path}.copy`, 'not a database at all')
  assert.equal(examineDatabase(`${path}.copy`).problems.length, 1)
})
