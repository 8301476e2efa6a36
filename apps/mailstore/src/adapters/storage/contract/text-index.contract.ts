/** Searching for text, as every storage adapter must: indexing changes how long it takes, never what is found. */
import assert from 'node:assert/strict'

import type { SearchKey } from '@postbus/contracts'
import { searchCorpus } from '@postbus/testkit'

import { prepareHeld } from '../../../mailbox/prepare.ts'
import type { SearchPage } from '../../../mailbox/storage.ts'
import { formatUidSet, joined, type UidRange } from '../../../mailbox/uid-ranges.ts'
import { type Helpers, type OpenStorage, smith, suiteOf } from './suite.contract.ts'

export async function append({ ok, inbox }: Helpers, messages: readonly Buffer[]): Promise<void> {
  await inbox()
  for (const octets of messages) {
    const chunks = async function* () {
      yield octets
    }
    const content = await prepareHeld(chunks(), octets.length, null)
    const message = { flags: { system: 0, keywords: [] }, internalDate: 0, saveDate: 0, content }
    await ok('append', { account: smith, name: 'INBOX', quotaBytes: null, messages: [message] })
  }
}

export async function find({ storage }: Helpers, key: SearchKey): Promise<string> {
  const inbox = (await storage.read('status', { account: smith, name: 'INBOX' })) ?? assert.fail('no INBOX')
  const at = { account: smith, mailbox: inbox.mailbox }
  const found: UidRange[] = []
  for (let after: number | null = 0; after !== null;) {
    const page: SearchPage | null = await storage.read('search', { ...at, key, after, now: 0 })
    assert.ok(page)
    found.push(...page.uids)
    after = page.next
  }
  return formatUidSet(joined(found))
}

export async function indexAll({ storage }: Helpers): Promise<void> {
  for (let more = true; more;) more = (await storage.index()).more
}

export function textIndexContract(adapter: string, open: OpenStorage): void {
  const it = suiteOf(adapter, open)

  it('500 random substrings are found in the same messages before, while and after they are indexed', async (helpers) => {
    const { messages, substrings } = searchCorpus(42, 30)
    const keys = substrings(500).map(({ in: where, value }): SearchKey =>
      where === 'subject' ? { kind: 'header', field: 'Subject', value } : { kind: where, value },
    )
    await append(helpers, messages.slice(0, 15))
    await indexAll(helpers)
    await append(helpers, messages.slice(15))
    const half: string[] = []
    for (const key of keys.slice(0, 100)) half.push(await find(helpers, key))
    await indexAll(helpers)
    const indexed: string[] = []
    for (const key of keys) indexed.push(await find(helpers, key))
    // As if nothing had ever been indexed.
    await helpers.ok('renewUidValidities', null)
    const scanned: string[] = []
    for (const key of keys) scanned.push(await find(helpers, key))
    assert.deepEqual(half, scanned.slice(0, 100))
    assert.deepEqual(indexed, scanned)
    assert.ok(scanned.filter((uids) => uids !== '').length > 400, 'most are found')
    assert.ok(scanned.filter((uids) => /^[0-9]*$/.test(uids)).length > 100, 'many in one message only')
  })

  it('addresses are found as the envelope has them, fields as they were written, before and after they are indexed', async (helpers) => {
    await append(helpers, [
      Buffer.from('From: (c) "Ann" B <ann@x.example>,\r\n\tbob @ x . example\r\nSubject  :  one\ttwo\r\n\r\n\r\n'),
      Buffer.from('From: "Ann B" <ann@x.example>\r\n\r\n\r\n'),
      Buffer.from('From: Ann\r\nSubject: one two\r\n\r\n\r\n'),
    ])
    const answers: [field: string, value: string, envelope: boolean, uids: string][] = [
      ['from', '"ann b" <ann@x.example>', true, '1:2'],
      ['from', '"ann b" <ann@x.example>', false, '2'],
      ['from', '<bob@x.example>', true, '1'],
      ['from', 'ann@missing_domain', true, '3'],
      ['from', '(c)', true, ''],
      ['from', '(c)', false, '1'],
      ['subject', 'one two', true, '1,3'],
      ['subject', 'one two', false, '3'],
      ['subject', ' one', false, '1'],
    ]
    for (const when of ['before', 'after']) {
      for (const [field, value, envelope, uids] of answers)
        assert.equal(await find(helpers, { kind: 'header', field, value, envelope }), uids, `${when}: ${value}`)
      assert.equal(await find(helpers, { kind: 'text', value: 'subject  :  one' }), '1', when)
      await indexAll(helpers)
    }
  })

  it('texts too long to be indexed are found all the same', async (helpers) => {
    const long = Buffer.from(`Subject: long\r\n\r\n${'0123456789'.repeat(5000)}needle\r\n`)
    await append(helpers, [long, Buffer.from('Subject: short\r\n\r\nneedle\r\n')])
    await indexAll(helpers)
    assert.equal(await find(helpers, { kind: 'body', value: 'NEEDLE' }), '1:2')
    assert.equal(await find(helpers, { kind: 'not', key: { kind: 'text', value: 'needle' } }), '')
    assert.equal(await find(helpers, { kind: 'header', field: 'subject', value: 'ong' }), '1')
  })

  it('copies are found by the text of what they show, and what is gone leaves the index', async (helpers) => {
    const { ok, inbox, storage } = helpers
    await append(helpers, [Buffer.from('\r\nneedle one\r\n'), Buffer.from('\r\nneedle two\r\n')])
    await indexAll(helpers)
    const { mailbox } = await inbox()
    const copy = { account: smith, mailbox, to: 'INBOX', move: false, at: 0, quotaBytes: null }
    await ok('copy', { ...copy, uids: [[1, 1]] })
    assert.equal(await find(helpers, { kind: 'body', value: 'needle' }), '1:3')
    await ok('expunge', { account: smith, mailbox, uids: [[1, 2]], any: true })
    for (let rows = 1; rows > 0;)
      rows = (await ok('purge', { at: 0, expungedBefore: Number.MAX_SAFE_INTEGER, blobsBefore: 0, removed: [] })).rows
    await indexAll(helpers)
    assert.equal(await find(helpers, { kind: 'body', value: 'needle' }), '3')
    assert.deepEqual(await storage.index(), { texts: 0, unreadable: 0, more: false })
  })

  it('an index never speaks for messages of a restored database', async (helpers) => {
    await append(helpers, [Buffer.from('\r\nneedle\r\n')])
    await indexAll(helpers)
    await helpers.ok('renewUidValidities', null)
    assert.equal(await find(helpers, { kind: 'body', value: 'needle' }), '1')
    assert.equal((await helpers.storage.index()).texts, 1, 'all is indexed anew')
    assert.equal(await find(helpers, { kind: 'body', value: 'needle' }), '1')
  })
}
