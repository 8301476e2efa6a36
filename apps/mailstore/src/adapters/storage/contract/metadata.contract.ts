/** Annotations: set, read at and below a name, gone with their mailbox — RFC 5464. */
import assert from 'node:assert/strict'

import { jones, refusal, smith, suiteOf, type OpenStorage } from './suite.contract.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))

export function metadataContract(name: string, open: OpenStorage): void {
  const it = suiteOf(name, open)

  it('annotations are read by name, and below it as deep as asked', async ({ ok, storage }) => {
    await ok('prepareAccount', { account: smith })
    const set = ['/private/a', '/private/a/b', '/private/a/b/c', '/private/a0', '/private/ab', '/shared/a']
    const entries = set.map((entry) => ({ entry, value: bytes(entry) }))
    await ok('setMetadata', { account: smith, name: 'INBOX', entries })
    const read = async (entry: string, depth: '0' | '1' | 'infinity') =>
      (await storage.read('metadata', { account: smith, name: 'INBOX', entries: [entry], depth }))?.map(
        (found) => found.entry,
      )
    assert.deepEqual(await read('/private/a', '0'), ['/private/a'])
    assert.deepEqual(await read('/private/a', '1'), ['/private/a', '/private/a/b'])
    assert.deepEqual(await read('/private/a', 'infinity'), ['/private/a', '/private/a/b', '/private/a/b/c'])
    assert.deepEqual(await read('/private', '1'), ['/private/a', '/private/a0', '/private/ab'])
    assert.deepEqual(await read('/private/none', 'infinity'), [])
    const other = { account: smith, name: 'nowhere', entries: ['/private/a'], depth: '0' } as const
    assert.equal(await storage.read('metadata', other), null)
  })

  it('a value is changed and taken away; those of the account, a mailbox and another account are apart', async ({
    ok,
    storage,
  }) => {
    for (const account of [smith, jones]) await ok('prepareAccount', { account })
    const entry = '/private/comment'
    const put = (account: typeof smith, of: string | null, value: string | null) =>
      ok('setMetadata', { account, name: of, entries: [{ entry, value: value === null ? null : bytes(value) }] })
    const read = async (account: typeof smith, of: string | null) =>
      (await storage.read('metadata', { account, name: of, entries: [entry], depth: '0' }))?.map(({ value }) =>
        Buffer.from(value).toString(),
      )
    await put(smith, null, 'account')
    await put(smith, 'INBOX', 'first')
    await put(smith, 'INBOX', '')
    await put(jones, null, 'other')
    assert.deepEqual([await read(smith, null), await read(smith, 'INBOX')], [['account'], ['']])
    await put(smith, 'INBOX', null)
    assert.deepEqual([await read(smith, 'INBOX'), await read(jones, null)], [[], ['other']])
  })

  it('all or none are set, and only so many', async ({ ok, storage }) => {
    await ok('prepareAccount', { account: smith })
    const entries = Array.from({ length: 101 }, (_, index) => ({ entry: `/private/${index}`, value: bytes('x') }))
    assert.equal(refusal(await storage.write('setMetadata', { account: smith, name: 'INBOX', entries })), 'limit')
    const all = { account: smith, name: 'INBOX', entries: ['/private'], depth: 'infinity' } as const
    assert.deepEqual(await storage.read('metadata', all), [])
    const nowhere = { account: smith, name: 'nowhere', entries: entries.slice(0, 1) }
    assert.equal(refusal(await storage.write('setMetadata', nowhere)), 'noSuchMailbox')
  })

  it('annotations go with their mailbox, and follow its name', async ({ ok, storage }) => {
    await ok('prepareAccount', { account: smith })
    await ok('create', { account: smith, name: 'x', specialUse: [] })
    await ok('setMetadata', { account: smith, name: 'x', entries: [{ entry: '/private/a', value: bytes('1') }] })
    await ok('rename', { account: smith, from: 'x', to: 'y' })
    const of = (mailbox: string) =>
      storage.read('metadata', { account: smith, name: mailbox, entries: ['/private/a'], depth: '0' })
    assert.equal((await of('y'))?.length, 1)
    await ok('remove', { account: smith, name: 'y' })
    await ok('create', { account: smith, name: 'y', specialUse: [] })
    assert.deepEqual(await of('y'), [])
  })
}
