import assert from 'node:assert/strict'
import { test } from 'node:test'

import { packStructure, parseStructureOf } from '@postbus/message'
import { migrate, openSqlite, temporaryFile } from '@postbus/sql'

import { migrations } from './migrations.ts'
import type { Tables } from './schema.ts'

test('messages that were there before can be sorted and threaded like new ones', async (t) => {
  const db = openSqlite<Tables>(temporaryFile(t))
  t.after(() => db.close())
  await migrate(db, migrations.slice(0, 1))
  const count = 250
  await db.transaction(async ({ query }) => {
    for (let number = 1; number <= count; number++) {
      const header = Buffer.from(
        `Subject: Re: number ${number}\r\nReferences: <a@x>\r\nMessage-ID: <${number}@x>\r\n\r\n`,
      )
      const texts = { envelope: '', wire_structure: '', wire_body: '' }
      const sizes = { refs: 1, size: header.length, header_size: header.length, blob_offset: 0 }
      const structure = packStructure(parseStructureOf(header))
      await query
        .insertInto('contents')
        .values({ ...texts, ...sizes, structure, header })
        .execute()
    }
  })
  await migrate(db, migrations)
  const keys = await db.query.selectFrom('sort_keys').selectAll().orderBy('content').execute()
  assert.equal(keys.length, count)
  const { content, subject, is_reply: isReply, message_id: id, ancestors } = keys.at(-1) ?? assert.fail()
  assert.deepEqual([content, subject, isReply, id, ancestors], [count, `NUMBER ${count}`, 1, `<${count}@x>`, '<a@x>'])
})
