import assert from 'node:assert/strict'
import { test } from 'node:test'

import { observed } from './observed.ts'
import { temporaryDatabase } from './temporary.ts'

interface Tables {
  word: { text: string }
}

test('what reads and writes a watched database is told of, and works as ever', async (t) => {
  const told: string[] = []
  const plain = await temporaryDatabase<Tables>(t, [])
  const db = observed(plain, {
    read: (seconds) => void told.push(`read ${seconds >= 0}`),
    transaction: (outcome) => void told.push(outcome),
  })
  await db.transaction((transaction) => transaction.exec('create table word (text text) strict'))
  await db.transaction(({ query }) => query.insertInto('word').values({ text: 'one' }).execute())
  await assert.rejects(db.transaction(() => Promise.reject(new Error('no'))))
  assert.deepEqual(told.splice(0), ['committed', 'committed', 'failed'])

  const all = db.prepare((query) => query.selectFrom('word').select('text'))
  assert.deepEqual(await db.all(all, {}), [{ text: 'one' }])
  assert.deepEqual(await db.first(all, {}), { text: 'one' })
  assert.deepEqual(await db.query.selectFrom('word').select('text').execute(), [{ text: 'one' }])
  assert.deepEqual(told, ['read true', 'read true', 'read true'])
  assert.equal(db.name, plain.name)
})
