/** What was expunged can be restored for a time, and what does not fit together is found and set right. */
import assert from 'node:assert/strict'

import { parseFlags } from '../../../mailbox/flags.ts'
import { formatUidSet } from '../../../mailbox/uid-ranges.ts'
import { jones, refusal, smith, suiteOf, type OpenStorage } from './suite.contract.ts'

export function undeleteContract(name: string, open: OpenStorage): void {
  const it = suiteOf(name, open)
  const all = { account: smith, mailbox: null, since: 0, after: 0, limit: 100 }
  const back = { account: smith, to: null, at: 7, quotaBytes: null }
  const purgeAll = { at: 1, blobsBefore: 0, removed: [] }

  it('what was expunged comes back with its flags, keywords and date, under a new UID', async (with_) => {
    const { ok, filled, inbox, fetch, storage } = with_
    const { mailbox, size } = await filled(3)
    const flags = parseFlags(['\\Seen', '\\Deleted', '$Work'])
    await ok('store', { account: smith, mailbox, uids: [[2, 2]], mode: 'add', flags, unchangedSince: null })
    await ok('expunge', { account: smith, mailbox, uids: null, any: false })
    // Nothing that is kept may go.
    await ok('purge', { ...purgeAll, expungedBefore: 0 })
    assert.equal((await storage.read('account', { account: smith }))?.usedBytes, (size / 3) * 2)
    const kept = await storage.read('expunged', all)
    assert.deepEqual(
      kept.map(({ mailbox: from, uid, flags: had }) => ({ from, uid, had })),
      [{ from: 'INBOX', uid: 2, had: ['\\Deleted', '\\Seen', '$Work'] }],
    )
    assert.deepEqual(await storage.read('expunged', { ...all, account: jones }), [])

    const { highestModseq } = await inbox()
    assert.equal(await ok('restore', { ...back, ids: kept.map(({ id }) => id) }), 1)
    assert.deepEqual(await storage.read('expunged', all), [])
    const after = await inbox()
    assert.deepEqual([after.messages, after.unseen, after.deleted, after.size], [3, 2, 0, size])
    assert.ok(after.highestModseq > highestModseq)
    const [message] = (await fetch('4', { flags: true, internalDate: true, saveDate: true })) ?? []
    assert.deepEqual([message?.flags, message?.internalDate, message?.saveDate], [['\\Seen', '$Work'], 1000, 7])
    assert.equal((await storage.read('account', { account: smith }))?.messages, 3)
    // Restored twice is restored once.
    assert.equal(await ok('restore', { ...back, ids: kept.map(({ id }) => id) }), 0)
  })

  it('a deleted mailbox comes back under its name, or elsewhere', async ({ ok, filled, storage }) => {
    const { mailbox } = await filled(2)
    await ok('create', { account: smith, name: 'Old/Mail', specialUse: [] })
    await ok('copy', { account: smith, mailbox, uids: [[1, 2]], to: 'Old/Mail', move: true, at: 9, quotaBytes: null })
    await ok('remove', { account: smith, name: 'Old/Mail' })
    for (let step = 0; step < 5; step++) await ok('purge', { ...purgeAll, expungedBefore: 0 })
    const [first, second] = await storage.read('expunged', { ...all, mailbox: 'Old/Mail' })
    assert.ok(first && second)
    await ok('restore', { ...back, ids: [first.id] })
    await ok('restore', { ...back, ids: [second.id], to: 'INBOX' })
    assert.equal((await storage.read('status', { account: smith, name: 'Old/Mail' }))?.messages, 1)
    assert.equal((await storage.read('status', { account: smith, name: 'INBOX' }))?.messages, 1)
  })

  it('a restoration over quota leaves all as it was; what is no longer kept is gone', async ({
    ok,
    filled,
    storage,
  }) => {
    const { mailbox, size } = await filled(2)
    await ok('expunge', { account: smith, mailbox, uids: null, any: true })
    const ids = (await storage.read('expunged', all)).map(({ id }) => id)
    const over = await storage.write('restore', { ...back, ids, quotaBytes: size - 1 })
    assert.equal(refusal(over), 'overQuota')
    assert.equal((await storage.read('expunged', all)).length, 2)
    const later = { ...purgeAll, expungedBefore: Date.now() + 1000 }
    let rows = 0
    for (let step = 0; step < 5; step++) rows += (await ok('purge', later)).rows
    // Two kept messages, two emails, two contents.
    assert.equal(rows, 6)
    assert.equal(await ok('restore', { ...back, ids }), 0)
  })

  it('what is sound is found sound, after every kind of change', async ({ ok, filled, storage }) => {
    const { mailbox } = await filled(6)
    const at = { account: smith, mailbox }
    const some = { mode: 'add', flags: parseFlags(['\\Seen', '\\Deleted', '$A']), unchangedSince: null } as const
    await ok('store', { ...at, uids: [[2, 3]], ...some })
    await ok('copy', { ...at, uids: [[1, 4]], to: 'Archive', move: false, at: 9, quotaBytes: null })
    await ok('copy', { ...at, uids: [[5, 5]], to: 'Trash', move: true, at: 9, quotaBytes: null })
    await ok('expunge', { ...at, uids: null, any: false })
    await ok('remove', { account: smith, name: 'Trash' })
    const [kept] = await storage.read('expunged', all)
    await ok('restore', { ...back, ids: [kept?.id ?? 0] })
    const { mailboxes } = await storage.read('list', { account: smith })
    for (const { mailbox: number, name: of } of mailboxes) {
      const counters = await storage.read('countersToCheck', { account: smith, mailbox: number })
      assert.ok(counters)
      const { said, counted, strayKeywords } = counters
      assert.equal(strayKeywords, 0)
      const exact = ({ messages, unseen, deleted, size }: typeof said) => ({ messages, unseen, deleted, size })
      assert.deepEqual(exact(said), exact(counted), of)
      assert.ok(said.uidNext >= counted.uidNext && said.highestModseq >= counted.highestModseq, of)
      const page = await storage.read('messagesToCheck', { account: smith, mailbox: number, after: 0, limit: 100 })
      assert.equal(page?.length, said.messages)
      for (const { size, content } of page ?? []) {
        assert.ok(content)
        assert.deepEqual([size, content.heldSize], [content.prefixSize + content.size, content.size])
      }
    }
    const account = await storage.read('accountToCheck', { account: smith })
    assert.deepEqual(account?.said, account?.counted)
    assert.equal(account?.wrongReferences, 0)
  })

  it('a repair keeps what is right', async ({ ok, filled, inbox, storage, fetch }) => {
    const before = await filled(3)
    const { mailbox } = before
    await ok('expunge', { account: smith, mailbox, uids: [[2, 2]], any: true })
    const sound = await inbox()
    await ok('repair', { kind: 'counters', account: smith, mailbox })
    await ok('repair', { kind: 'account', account: smith })
    assert.deepEqual(await inbox(), sound)
    assert.equal((await storage.read('expunged', all)).length, 1)
    await ok('repair', { kind: 'size', account: smith, mailbox, uid: 3, size: 1 })
    await ok('repair', { kind: 'counters', account: smith, mailbox })
    assert.equal((await inbox()).size, before.size / 3 + 1)
    await ok('repair', { kind: 'account', account: smith })
    assert.equal((await storage.read('account', { account: smith }))?.usedBytes, before.size / 3 + 1)
    assert.equal(formatUidSet((await fetch('1:*'))?.map(({ uid }) => [uid, uid] as const) ?? []), '1,3')
  })
}
