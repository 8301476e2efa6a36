import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'

import { localBlobs } from '@postbus/blobs'
import { AccountId } from '@postbus/contracts'

import { openStorage } from '../adapters/storage/open-storage.ts'
import { checkPorts } from '../adapters/check-ports.ts'
import { checkAccount, type CheckRow } from './check-account.ts'
import { parseFlags } from './flags.ts'
import { prepareHeld, prepareLarge } from './prepare.ts'

const account = AccountId.parse('smith000')
const TEXT = Buffer.from(
  'From: a@example.org\r\nSubject: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n',
)

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** An INBOX of three messages, the third one in a blob. */
async function damaged(t: TestContext, sql: string) {
  const dir = mkdtempSync(join(tmpdir(), 'postbus-check-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const blobs = localBlobs(join(dir, 'blobs'))
  const path = join(dir, 'mailstore.sqlite')
  const storage = await openStorage({ database: path, blobs: { location: join(dir, 'blobs') }, readThreads: 1 })
  t.after(() => storage.close())
  await storage.write('prepareAccount', { account })
  await blobs.put('content/xx/large', once(TEXT))
  const contents = [
    await prepareHeld(once(TEXT), TEXT.length, null),
    await prepareHeld(once(TEXT), TEXT.length, null),
    await prepareLarge(blobs.read('content/xx/large'), null, { key: 'content/xx/large', offset: 0 }),
  ]
  const facts = { flags: parseFlags(['$Work']), internalDate: 1, saveDate: 1 }
  const messages = contents.map((content) => ({ ...facts, content }))
  await storage.write('append', { account, name: 'INBOX', quotaBytes: null, messages })
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
  const ports = checkPorts(storage, blobs, async (what) => void (await storage.write('repair', what)))
  const check = async (repair = false) => faultsOf(await Array.fromAsync(checkAccount(account, repair, ports)))
  return { check, blobs, storage }
}

function faultsOf(rows: readonly CheckRow[]): string[] {
  assert.deepEqual(rows.at(-1), { kind: 'checked', messages: 3 })
  return rows.flatMap((row) => {
    if (row.kind !== 'fault') return []
    const { kind, mailbox = '', uid = '', repaired } = row.fault
    return [`${kind} ${mailbox} ${uid}${repaired ? ' repaired' : ''}`]
  })
}

test('a sound account has no fault', async (t) => {
  const { check } = await damaged(t, '')
  assert.deepEqual(await check(), [])
})

const repairable: Record<string, [sql: string, faults: string[]]> = {
  'counters of a mailbox': [
    "update mailboxes set messages = 5, unseen = 0, uid_next = 2 where name = 'INBOX'",
    ['counters INBOX ', 'counters  '],
  ],
  'counters of the account': ['update accounts set used_bytes = 1', ['counters  ']],
  'the size of a message': ['update messages set size = 1 where uid = 2', ['size INBOX 2', 'counters INBOX ']],
  'a structure that is of another message': [
    `update contents set structure = '{"o":[0,9,9,1]}', envelope = 'wrong' where id in (1, 3)`,
    ['structure INBOX 1', 'structure INBOX 3'],
  ],
  'a structure that is none': ["update contents set structure = '{' where id = 1", ['structure INBOX 1']],
  'keywords of nobody': ['insert into message_keywords select mailbox, 99, keyword from keywords', ['keywords INBOX ']],
  'emails nobody shows': [
    "insert into emails (account, content, refs, prefix) values ('smith000', 1, 1, x'')",
    ['references  '],
  ],
  'an email that says it is not shown': ['update emails set refs = 0 where id = 1', ['references  ']],
}

for (const [what, [sql, faults]] of Object.entries(repairable)) {
  test(`found and set right: ${what}`, async (t) => {
    const { check } = await damaged(t, sql)
    assert.deepEqual(await check(), faults)
    const repaired = await check(true)
    assert.ok(repaired.length > 0 && repaired.every((fault) => fault.endsWith('repaired')), repaired.join())
    assert.deepEqual(await check(), [])
  })
}

test('bytes that are gone are told, and nothing is thrown away for it', async (t) => {
  const { check, blobs, storage } = await damaged(t, 'delete from bodies where content = 1')
  await blobs.delete('content/xx/large')
  assert.deepEqual(await check(true), ['bytes INBOX 1', 'bytes INBOX 3'])
  assert.equal((await storage.read('status', { account, name: 'INBOX' }))?.messages, 3)
})

test('a structure worked out anew is the one the message came with', async (t) => {
  const { check, storage } = await damaged(t, '')
  const inbox = await storage.read('status', { account, name: 'INBOX' })
  const want = {
    ...{ flags: false, internalDate: false, size: true, envelope: true, structure: true, saveDate: false },
    ...{ basicStructure: true, emailId: false, preview: false },
  }
  const fetched = () =>
    storage.read('fetch', {
      ...{ account, mailbox: inbox?.mailbox ?? 0, uids: [[1, 9]], changedSince: null },
      want: { ...want, sections: [{ part: '2', kind: 'all' }] },
    })
  const before = await fetched()
  assert.equal(before?.page.uids.length, 3)
  const { check: checkDamaged, storage: repairedStorage } = await damaged(t, "update contents set structure = '{'")
  await checkDamaged(true)
  const again = await repairedStorage.read('status', { account, name: 'INBOX' })
  const after = await repairedStorage.read('fetch', {
    ...{ account, mailbox: again?.mailbox ?? 0, uids: [[1, 9]], changedSince: null },
    want: { ...want, sections: [{ part: '2', kind: 'all' }] },
  })
  assert.deepEqual(after, before)
  assert.deepEqual(await check(), [])
})
