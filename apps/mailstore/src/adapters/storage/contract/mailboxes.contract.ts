/** Mailboxes: creating, deleting, renaming, limits, and whose they are. */
import assert from 'node:assert/strict'

import { parseFlags } from '../../../mailbox/flags.ts'
import { everythingAfter, jones, refusal, smith, suiteOf, type OpenStorage } from './suite.contract.ts'

export function mailboxesContract(name: string, open: OpenStorage): void {
  const it = suiteOf(name, open)

  it('a new account has INBOX and the mailboxes with a special use, subscribed', async ({ storage, ok }) => {
    await ok('prepareAccount', { account: smith })
    await ok('prepareAccount', { account: smith })
    const { mailboxes } = await storage.read('list', { account: smith })
    assert.deepEqual(
      mailboxes.map(({ name, specialUse, subscribed }) => [name, ...specialUse, subscribed]),
      [
        ['Archive', '\\Archive', true],
        ['Drafts', '\\Drafts', true],
        ['INBOX', true],
        ['Junk', '\\Junk', true],
        ['Sent', '\\Sent', true],
        ['Trash', '\\Trash', true],
      ],
    )
    assert.equal(new Set(mailboxes.map(({ uidValidity }) => uidValidity)).size, 6)
  })

  it('mailboxes are created with the levels above them', async ({ ok, storage }) => {
    await ok('prepareAccount', { account: smith })
    const created = await ok('create', { account: smith, name: 'a/b/c', specialUse: ['\\Junk'] })
    assert.deepEqual([created.name, created.specialUse, created.subscribed], ['a/b/c', ['\\Junk'], false])
    const { mailboxes } = await storage.read('list', { account: smith })
    assert.deepEqual(
      mailboxes.filter(({ name }) => name.startsWith('a')).map(({ name, specialUse }) => [name, ...specialUse]),
      [['a'], ['a/b'], ['a/b/c', '\\Junk']],
    )
    assert.equal(refusal(await storage.write('create', { account: smith, name: 'a/b', specialUse: [] })), 'exists')
  })

  it('a name used again has a higher UIDVALIDITY and another number', async ({ ok }) => {
    await ok('prepareAccount', { account: smith })
    const first = await ok('create', { account: smith, name: 'x', specialUse: [] })
    await ok('remove', { account: smith, name: 'x' })
    const second = await ok('create', { account: smith, name: 'x', specialUse: [] })
    assert.ok(second.uidValidity > first.uidValidity && second.mailbox > first.mailbox)
  })

  it('after a restore every mailbox has a higher UIDVALIDITY, of its own, and so has the next one', async ({
    ok,
    storage,
  }) => {
    for (const account of [smith, jones]) await ok('prepareAccount', { account })
    const validities = async (account: typeof smith) =>
      (await storage.read('list', { account })).mailboxes.map(({ uidValidity }) => uidValidity)
    const before = await Promise.all([smith, jones].map(validities))
    const restoredAt = Date.now()
    assert.equal(await ok('renewUidValidities', null), 12)
    const after = await Promise.all([smith, jones].map(validities))
    for (const [index, renewed] of after.entries()) {
      assert.equal(new Set(renewed).size, 6)
      assert.ok(Math.min(...renewed) > Math.max(...(before[index] ?? [])))
    }
    const next = await ok('create', { account: smith, name: 'x', specialUse: [] })
    assert.ok(next.uidValidity > Math.max(...(after[0] ?? [])))
    // Numbers given out after the backup are not given out again: object identifiers are made of them.
    assert.ok(next.mailbox >= restoredAt)
  })

  it('deleting a mailbox leaves those below it and its subscription', async ({ ok, storage }) => {
    await ok('prepareAccount', { account: smith })
    await ok('create', { account: smith, name: 'a/b', specialUse: [] })
    await ok('subscribe', { account: smith, name: 'a', subscribed: true })
    await ok('remove', { account: smith, name: 'a' })
    const { mailboxes, subscribedOnly } = await storage.read('list', { account: smith })
    assert.ok(mailboxes.some(({ name }) => name === 'a/b'))
    assert.deepEqual(subscribedOnly, ['a'])
    assert.equal(refusal(await storage.write('remove', { account: smith, name: 'a' })), 'hasChildren')
    await ok('remove', { account: smith, name: 'a/b' })
    assert.equal(refusal(await storage.write('remove', { account: smith, name: 'a' })), 'noSuchMailbox')
  })

  it('a deleted mailbox gives its room back at once', async ({ ok, filled, storage, fetch }) => {
    const inbox = await filled(3)
    const { mailbox } = inbox
    await ok('create', { account: smith, name: 'old', specialUse: [] })
    await ok('copy', { mailbox, account: smith, uids: [[1, 3]], to: 'old', move: true, at: 9, quotaBytes: null })
    const old = await storage.read('status', { account: smith, name: 'old' })
    await ok('remove', { account: smith, name: 'old' })
    assert.deepEqual(await storage.read('account', { account: smith }), { usedBytes: 0, messages: 0 })
    assert.ok(old)
    assert.equal(await storage.read('sync', everythingAfter({ account: smith, mailbox: old.mailbox }, 0)), null)
    assert.deepEqual(await fetch('1:9', {}, old), null)
  })

  it('renaming takes everything below along and keeps numbers and UIDs', async ({ ok, storage }) => {
    await ok('prepareAccount', { account: smith })
    const a = await ok('create', { account: smith, name: 'a', specialUse: [] })
    await ok('create', { account: smith, name: 'a/b', specialUse: [] })
    await ok('create', { account: smith, name: 'ab', specialUse: [] })
    await ok('rename', { account: smith, from: 'a', to: 'x/y' })
    const { mailboxes } = await storage.read('list', { account: smith })
    const names = mailboxes.map(({ name }) => name).filter((name) => /^[ax]/.test(name))
    assert.deepEqual(names, ['ab', 'x', 'x/y', 'x/y/b'])
    assert.equal(mailboxes.find(({ name }) => name === 'x/y')?.mailbox, a.mailbox)
    assert.equal(refusal(await storage.write('rename', { account: smith, from: 'x/y', to: 'ab' })), 'exists')
    assert.equal(refusal(await storage.write('rename', { account: smith, from: 'ab', to: 'ab' })), 'exists')
    assert.equal(refusal(await storage.write('rename', { account: smith, from: 'q', to: 'r' })), 'noSuchMailbox')
  })

  it('a rename that would make a name below too long changes nothing', async ({ ok, storage }) => {
    await ok('prepareAccount', { account: smith })
    await ok('create', { account: smith, name: `a/${'b'.repeat(200)}`, specialUse: [] })
    const to = Array.from({ length: 4 }, () => 'c'.repeat(220)).join('/')
    assert.equal(refusal(await storage.write('rename', { account: smith, from: 'a', to })), 'limit')
    const { mailboxes } = await storage.read('list', { account: smith })
    assert.ok(mailboxes.some(({ name }) => name === 'a') && !mailboxes.some(({ name }) => name.startsWith('c')))
  })

  it('renaming INBOX moves its messages and leaves it, and those below it', async ({ ok, filled, inbox, storage }) => {
    const { mailbox } = await filled(2)
    await ok('create', { account: smith, name: 'INBOX/sub', specialUse: [] })
    await ok('rename', { account: smith, from: 'INBOX', to: 'kept/all' })
    const left = await inbox()
    assert.deepEqual([left.mailbox, left.messages], [mailbox, 0])
    const { mailboxes } = await storage.read('list', { account: smith })
    assert.equal(mailboxes.find(({ name }) => name === 'kept/all')?.messages, 2)
    assert.ok(mailboxes.some(({ name }) => name === 'INBOX/sub'))
  })

  it('mailboxes of an account are bounded', async ({ ok, storage }) => {
    await ok('prepareAccount', { account: smith })
    const name = Array.from({ length: 15 }, (_, index) => `l${index}`).join('/')
    assert.equal(refusal(await storage.write('create', { account: smith, name, specialUse: [] })), 'limit')
    assert.equal(await storage.read('status', { account: smith, name: 'l0' }), null)
  })

  it('a mailbox number of another account means nothing', async ({ ok, filled, storage, fetch }) => {
    const { mailbox } = await filled(2)
    await ok('prepareAccount', { account: jones })
    const at = { account: jones, mailbox }
    assert.equal(await storage.read('sync', everythingAfter(at, 0)), null)
    const { mailbox: _mailbox, ...rest } =
      (await storage.read('status', { account: jones, name: 'INBOX' })) ?? assert.fail()
    assert.equal(await fetch('1:2', {}, { ...rest, mailbox }, jones), null)
    for (const outcome of [
      await storage.write('expunge', { ...at, uids: null, any: true }),
      await storage.write('store', { ...at, uids: [[1, 2]], mode: 'add', flags: parseFlags([]), unchangedSince: null }),
      await storage.write('copy', { ...at, uids: [[1, 2]], to: 'Sent', move: true, at: 0, quotaBytes: null }),
      await storage.write('claimRecent', { ...at, below: 2 }),
    ]) {
      assert.equal(refusal(outcome), 'noSuchMailbox')
    }
  })
}
