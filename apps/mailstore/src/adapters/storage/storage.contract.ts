/**
 * What every storage adapter must do, told as tests. `open` gives an empty storage; with `more`, a second one on the
 * same data, as another process has it.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { AccountId, type MailboxInfo, QueueId } from '@postbus/contracts'

import type { StoredContent } from '../../mailbox/content.ts'
import { parseFlags } from '../../mailbox/flags.ts'
import type { Delivery, FetchPageOf, MailStorage, Outcome, Reads, Writes } from '../../mailbox/storage.ts'
import { formatUidSet, parseUidSet } from '../../mailbox/uid-ranges.ts'

export interface StorageUnderTest {
  storage: MailStorage
  another(): Promise<MailStorage>
}

export const smith = AccountId.parse('smith000')
export const jones = AccountId.parse('jones000')

let lastQueueId = 0
export const newQueueId = (): QueueId => QueueId.parse(`01J9ZK3V8Q6X4T2M7N${String(++lastQueueId).padStart(8, '0')}`)

export function content(text: string, more: Partial<StoredContent> = {}): StoredContent {
  const bytes = new Uint8Array(Buffer.from(text, 'latin1'))
  const headerSize = text.indexOf('\r\n\r\n') + 4
  return {
    queueId: null,
    size: bytes.length,
    headerSize,
    sentDay: null,
    envelope: `(envelope of ${bytes.length})`,
    wireStructure: '(extended)',
    wireBody: '(basic)',
    structure: '{}',
    header: bytes.slice(0, headerSize),
    body: bytes.slice(headerSize),
    blob: null,
    ...more,
  }
}

const MESSAGE = 'Subject: hello\r\n\r\nhi\r\n'

export function delivery(account: AccountId, more: Partial<Delivery> = {}): Delivery {
  const queueId = more.queueId ?? newQueueId()
  const prefix = new Uint8Array(Buffer.from('Return-Path: <>\r\n'))
  return { account, queueId, prefix, at: 1000, quotaBytes: null, content: content(MESSAGE, { queueId }), ...more }
}

export function storageContract(name: string, open: (t: TestContext) => Promise<StorageUnderTest>): void {
  const it = (guarantee: string, run: (with_: Helpers, t: TestContext) => Promise<void>) =>
    test(`${name}: ${guarantee}`, async (t) => {
      const under = await open(t)
      await run(helpers(under), t)
    })

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

  it('a message is delivered once to an account, whatever happened to it since', async ({ ok, inbox, fetch }) => {
    const first = delivery(smith)
    assert.deepEqual(await ok('deliver', [first]), [
      { kind: 'delivered', mailbox: (await inbox()).mailbox, uid: 1, contentUsed: true },
    ])
    assert.deepEqual(await ok('deliver', [first]), [{ kind: 'repeat' }])
    const { mailbox } = await inbox()
    await ok('expunge', { account: smith, mailbox, uids: null, any: true })
    assert.deepEqual(await ok('deliver', [first]), [{ kind: 'repeat' }])
    assert.deepEqual(await fetch('1:10'), [])
  })

  it('the same delivery twice in one batch is one message', async ({ ok, inbox }) => {
    const one = delivery(smith)
    const results = await ok('deliver', [one, one])
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ['delivered', 'repeat'],
    )
    assert.equal((await inbox()).messages, 1)
  })

  it('recipients of one message share its content', async ({ ok, storage, inbox, fetch }) => {
    const queueId = newQueueId()
    const one = delivery(smith, { queueId })
    await ok('deliver', [one])
    const [known] = await storage.read('known', [{ queueId, account: jones }])
    assert.equal(known?.delivered, false)
    assert.equal(known?.content?.size, MESSAGE.length)
    const results = await ok('deliver', [
      delivery(jones, { queueId }),
      delivery(AccountId.parse('brown000'), { queueId, content: known?.content?.content ?? 0 }),
    ])
    assert.deepEqual(
      results.map((result) => result.kind === 'delivered' && result.contentUsed),
      [false, false],
    )
    assert.equal((await fetch('1', { size: true }, await inbox(jones)))?.[0]?.size, one.prefix.length + MESSAGE.length)
  })

  it('known content that went away is asked for again', async ({ ok, inbox }) => {
    assert.deepEqual(await ok('deliver', [delivery(smith, { content: 4711 })]), [{ kind: 'contentGone' }])
    assert.equal((await inbox()).messages, 0)
  })

  it('quota refuses what would exceed it, exactly', async ({ ok, inbox, storage }) => {
    const size = delivery(smith).prefix.length + MESSAGE.length
    const quotaBytes = 2 * size
    const results = await ok(
      'deliver',
      [1, 2, 3].map(() => delivery(smith, { quotaBytes })),
    )
    assert.deepEqual(results.at(-1), { kind: 'overQuota', usedBytes: quotaBytes })
    assert.deepEqual(await storage.read('account', { account: smith }), { usedBytes: quotaBytes, messages: 2 })
    const { mailbox } = await inbox()
    await ok('expunge', { account: smith, mailbox, uids: [[1, 1]], any: true })
    assert.equal((await ok('deliver', [delivery(smith, { quotaBytes })]))[0]?.kind, 'delivered')
  })

  it('flags are added, removed and replaced, keywords in any case', async ({ ok, filled, inbox }) => {
    const { mailbox } = await filled(3)
    const store = async (uids: string, mode: 'add' | 'remove' | 'replace', ...flags: string[]) => {
      const input = { mailbox, account: smith, uids: parseUidSet(uids), mode, flags: parseFlags(flags) }
      const { messages } = await ok('store', { ...input, unchangedSince: null })
      return messages.map(({ uid, flags: now }) => [uid, ...now])
    }
    assert.deepEqual(await store('1:2', 'add', '\\Seen', '$Work'), [
      [1, '\\Seen', '$Work'],
      [2, '\\Seen', '$Work'],
    ])
    assert.deepEqual(await store('2:3', 'add', '$WORK', '\\deleted'), [
      [2, '\\Deleted', '\\Seen', '$Work'],
      [3, '\\Deleted', '$Work'],
    ])
    assert.deepEqual(await store('1,3', 'remove', '$work', '\\Deleted', '$never'), [[1, '\\Seen'], [3]])
    assert.deepEqual(await store('2', 'replace', '\\Draft'), [[2, '\\Draft']])
    const { unseen, deleted, keywords } = await inbox()
    assert.deepEqual({ unseen, deleted, keywords }, { unseen: 2, deleted: 0, keywords: ['$Work'] })
  })

  it('every change of a mailbox has a higher MODSEQ, and no change has none', async ({ ok, filled, inbox }) => {
    const { mailbox, highestModseq } = await filled(2)
    const seen = {
      mailbox,
      account: smith,
      uids: parseUidSet('1'),
      mode: 'add',
      flags: parseFlags(['\\Seen']),
    } as const
    const first = await ok('store', { ...seen, unchangedSince: null })
    assert.equal(first.messages[0]?.modseq, highestModseq + 1)
    const again = await ok('store', { ...seen, unchangedSince: null })
    assert.equal(again.messages[0]?.modseq, highestModseq + 1)
    assert.equal((await inbox()).highestModseq, highestModseq + 1)
  })

  it('a conditional store leaves alone what changed since', async ({ ok, filled }) => {
    const { mailbox, highestModseq } = await filled(3)
    const flagged = { mailbox, account: smith, mode: 'add', flags: parseFlags(['\\Flagged']) } as const
    await ok('store', { ...flagged, uids: parseUidSet('2'), unchangedSince: null })
    const result = await ok('store', {
      ...flagged,
      flags: parseFlags(['\\Answered']),
      uids: parseUidSet('1:3'),
      unchangedSince: highestModseq,
    })
    assert.deepEqual(result.conflict, [[2, 2]])
    assert.deepEqual(
      result.messages.map(({ uid }) => uid),
      [1, 3],
    )
  })

  it('a long store is done in chunks that together are all of it', async ({ ok, filled, inbox }) => {
    const { mailbox } = await filled(23)
    let rest = parseUidSet('2,4:22')
    const stored: number[] = []
    for (let chunks = 0; rest.length > 0; chunks++) {
      const input = { mailbox, account: smith, uids: rest, mode: 'add', flags: parseFlags(['\\Seen']) } as const
      const result = await ok('store', { ...input, unchangedSince: null })
      assert.ok(result.messages.length <= 10 && chunks < 4)
      stored.push(...result.messages.map(({ uid }) => uid))
      rest = result.rest
    }
    assert.deepEqual(stored, [2, ...Array.from({ length: 19 }, (_, index) => index + 4)])
    assert.equal((await inbox()).unseen, 3)
  })

  it('keywords of a mailbox are bounded', async ({ filled, storage }) => {
    const { mailbox } = await filled(1)
    const flags = parseFlags(Array.from({ length: 51 }, (_, index) => `k${index}`))
    const input = { mailbox, account: smith, uids: parseUidSet('1'), mode: 'add', flags, unchangedSince: null } as const
    assert.equal(refusal(await storage.write('store', input)), 'limit')
  })

  it('expunge removes what is deleted, among the given UIDs only when given', async ({ ok, filled, inbox }) => {
    const { mailbox } = await filled(6)
    const deleted = { mailbox, account: smith, mode: 'add', flags: parseFlags(['\\Deleted']) } as const
    await ok('store', { ...deleted, uids: parseUidSet('1:2,4:6'), unchangedSince: null })
    const some = await ok('expunge', { mailbox, account: smith, uids: parseUidSet('1,3,5'), any: false })
    assert.equal(formatUidSet(some.vanished), '1,5')
    const all = await ok('expunge', { mailbox, account: smith, uids: null, any: false })
    assert.equal(formatUidSet(all.vanished), '2,4,6')
    const { messages, deleted: left, uidNext } = await inbox()
    assert.deepEqual({ messages, left, uidNext }, { messages: 1, left: 0, uidNext: 7 })
  })

  it('sync tells exactly what happened after a MODSEQ', async ({ ok, filled, storage }) => {
    const { mailbox, highestModseq } = await filled(5)
    const at = { mailbox, account: smith }
    await ok('store', { ...at, uids: [[2, 2]], mode: 'add', flags: parseFlags(['\\Seen']), unchangedSince: null })
    await ok('expunge', { ...at, uids: parseUidSet('1,3:4'), any: true })
    const between = (await storage.read('sync', everythingAfter(at, highestModseq + 1)))?.vanished ?? []
    assert.equal(formatUidSet(between), '1,3:4')
    await ok('deliver', [delivery(smith)])
    const page = await storage.read('sync', everythingAfter(at, highestModseq))
    assert.deepEqual(
      page?.messages.map(({ uid, flags }) => [uid, ...flags]),
      [[2, '\\Seen'], [6]],
    )
    assert.equal(formatUidSet(page?.vanished ?? []), '1,3:4')
    const nothing = await storage.read('sync', everythingAfter(at, page?.highestModseq ?? 0))
    assert.deepEqual([nothing?.messages, nothing?.vanished, nothing?.next], [[], [], null])
  })

  it('pages of sync leave nothing out', async ({ filled, storage }) => {
    const { mailbox } = await filled(25)
    const uids: number[] = []
    let from: { modseq: number; uid: number | null } | null = { modseq: 0, uid: null }
    while (from !== null) {
      const page: Reads['sync']['output'] = await storage.read('sync', {
        mailbox,
        account: smith,
        ...from,
        vanishedAfter: 0,
        limit: 10,
      })
      uids.push(...(page?.messages ?? []).map(({ uid }) => uid))
      from = page?.next ?? null
    }
    assert.deepEqual(
      uids,
      Array.from({ length: 25 }, (_, index) => index + 1),
    )
  })

  it('open shows the mailbox and its UIDs as of one moment', async ({ ok, filled, storage }) => {
    const { mailbox } = await filled(5)
    await ok('expunge', { mailbox, account: smith, uids: [[2, 2]], any: true })
    const seen = { mode: 'add', flags: parseFlags(['\\Seen']), unchangedSince: null } as const
    await ok('store', { mailbox, account: smith, uids: [[1, 3]], ...seen })
    const opened = await storage.read('open', { account: smith, name: 'INBOX' })
    assert.equal(formatUidSet(opened?.uids ?? []), '1,3:5')
    assert.equal(opened?.firstUnseen, 4)
    assert.equal(opened?.info.messages, 4)
    assert.equal(await storage.read('open', { account: smith, name: 'Nowhere' }), null)
  })

  it('\\Recent is claimed once', async ({ ok, filled, inbox, storage }) => {
    const { mailbox } = await filled(3)
    const claim = (below: number) => ok('claimRecent', { mailbox, account: smith, below })
    assert.equal((await inbox()).recent, 3)
    assert.equal(await claim(3), 1)
    assert.equal((await inbox()).recent, 1)
    assert.equal(await claim(4), 3)
    assert.equal(await claim(4), 4)
    assert.equal(await claim(2), 4)
    assert.equal((await storage.read('status', { account: smith, name: 'INBOX' }))?.recent, 0)
  })

  it('copies have ascending UIDs, the flags and the date of the original, and its keywords', async (with_) => {
    const { ok, filled, storage, fetch } = with_
    const { mailbox } = await filled(4)
    const at = { mailbox, account: smith }
    const work = { mode: 'add', flags: parseFlags(['\\Seen', '$Work']), unchangedSince: null } as const
    await ok('store', { ...at, uids: [[3, 3]], ...work })
    const copied = await ok('copy', {
      ...at,
      uids: parseUidSet('1,3:9'),
      to: 'Archive',
      move: false,
      at: 9,
      quotaBytes: null,
    })
    assert.deepEqual([formatUidSet(copied.from), formatUidSet(copied.to)], ['1,3:4', '1:3'])
    const archive = await storage.read('status', { account: smith, name: 'Archive' })
    assert.ok(archive)
    assert.deepEqual([archive.messages, archive.unseen, archive.keywords], [3, 2, ['$Work']])
    const second = (await fetch('1:*', { flags: true, internalDate: true, saveDate: true }, archive))?.[1]
    assert.deepEqual([second?.flags, second?.internalDate, second?.saveDate], [['\\Seen', '$Work'], 1000, 9])
    const used = await storage.read('account', { account: smith })
    assert.equal(used?.messages, 7)
  })

  it('a move is one step: here they vanish, there they are', async ({ ok, filled, inbox, storage }) => {
    const { mailbox, highestModseq, size } = await filled(3)
    const at = { mailbox, account: smith }
    const moved = await ok('copy', { ...at, uids: parseUidSet('2:3'), to: 'Trash', move: true, at: 9, quotaBytes: 1 })
    assert.deepEqual([formatUidSet(moved.from), formatUidSet(moved.to)], ['2:3', '1:2'])
    const page = await storage.read('sync', everythingAfter(at, highestModseq))
    assert.equal(formatUidSet(page?.vanished ?? []), '2:3')
    assert.equal((await inbox()).messages, 1)
    assert.equal((await storage.read('account', { account: smith }))?.usedBytes, size)
  })

  it('a move into the same mailbox gives new UIDs', async ({ ok, filled, inbox }) => {
    const { mailbox } = await filled(2)
    const moved = await ok('copy', {
      mailbox,
      account: smith,
      uids: [[1, 2]],
      to: 'INBOX',
      move: true,
      at: 9,
      quotaBytes: null,
    })
    assert.deepEqual([formatUidSet(moved.from), formatUidSet(moved.to)], ['1:2', '3:4'])
    const { messages, unseen, uidNext } = await inbox()
    assert.deepEqual({ messages, unseen, uidNext }, { messages: 2, unseen: 2, uidNext: 5 })
  })

  it('a copy over quota or to nowhere leaves no trace', async ({ filled, storage }) => {
    const { mailbox, size } = await filled(2)
    const to = (name: string) =>
      storage.write('copy', {
        mailbox,
        account: smith,
        uids: [[1, 2]],
        to: name,
        move: false,
        at: 9,
        quotaBytes: size + 1,
      })
    assert.equal(refusal(await to('Archive')), 'overQuota')
    assert.equal(refusal(await to('Nowhere')), 'noSuchTarget')
    assert.equal((await storage.read('account', { account: smith }))?.usedBytes, size)
  })

  it('append is all or none', async ({ ok, storage, fetch }) => {
    await ok('prepareAccount', { account: smith })
    const message = (...flags: string[]) => ({
      flags: parseFlags(flags),
      internalDate: 5,
      saveDate: 6,
      content: content(MESSAGE),
    })
    const messages = [message('\\Seen', '$One'), message('\\Deleted')]
    const appended = await ok('append', { account: smith, name: 'Drafts', quotaBytes: null, messages })
    assert.deepEqual(appended.uids, [1, 2])
    const over = { account: smith, name: 'Drafts', quotaBytes: 3 * MESSAGE.length, messages }
    assert.equal(refusal(await storage.write('append', over)), 'overQuota')
    const drafts = await storage.read('status', { account: smith, name: 'Drafts' })
    assert.ok(drafts)
    const { messages: count, unseen, deleted, size } = drafts
    assert.deepEqual({ count, unseen, deleted, size }, { count: 2, unseen: 1, deleted: 1, size: 2 * MESSAGE.length })
    assert.deepEqual((await fetch('1', { flags: true }, drafts))?.[0]?.flags, ['\\Seen', '$One'])
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
    assert.equal(refusal(await storage.write('rename', { account: smith, from: 'q', to: 'r' })), 'noSuchMailbox')
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

  it('fetch finds sparse and wide sets alike, and leaves out what is gone', async ({ ok, filled, fetch }) => {
    const { mailbox } = await filled(30)
    await ok('expunge', { mailbox, account: smith, uids: parseUidSet('5:9,20'), any: true })
    const uids = async (set: string) => (await fetch(set))?.map(({ uid }) => uid)
    assert.deepEqual(await uids('1,3:6,20:22,4000000000'), [1, 3, 4, 21, 22])
    assert.deepEqual((await uids('1:4294967295'))?.length, 24)
    assert.deepEqual(await uids('5:9'), [])
  })

  it('what nothing shows any more is taken away, blobs after their grace', async ({ ok, filled, storage }) => {
    const { mailbox } = await filled(3)
    const queueId = newQueueId()
    const blob = { key: 'content/large', offset: 7 }
    const large = content(MESSAGE, { queueId, body: null, blob })
    await ok('deliver', [delivery(smith, { queueId, content: large }), delivery(jones, { queueId, content: large })])
    await ok('expunge', { account: smith, mailbox, uids: null, any: true })
    const purge = async (at: number) => {
      const blobs: string[] = []
      for (;;) {
        const purged = await ok('purge', { at, blobsBefore: at - 100, removed: [] })
        blobs.push(...purged.blobs)
        if (purged.rows === 0) return [...new Set(blobs)]
      }
    }
    assert.deepEqual(await purge(1000), [])
    assert.deepEqual(await storage.read('namedBlobs', { blobs: [blob.key, 'content/other'] }), [blob.key])
    const theirs = await storage.read('status', { account: jones, name: 'INBOX' })
    await ok('expunge', { account: jones, mailbox: theirs?.mailbox ?? 0, uids: null, any: true })
    assert.deepEqual(await purge(2000), [])
    assert.deepEqual(await purge(3000), [blob.key])
    await ok('purge', { at: 3000, blobsBefore: 2900, removed: [blob.key] })
    assert.deepEqual(await purge(4000), [])
    assert.deepEqual(await storage.read('namedBlobs', { blobs: [blob.key] }), [])
  })

  it('a deleted mailbox is emptied step by step', async ({ ok, filled }) => {
    const { mailbox } = await filled(3)
    await ok('create', { account: smith, name: 'old', specialUse: [] })
    await ok('copy', { mailbox, account: smith, uids: [[1, 3]], to: 'old', move: true, at: 9, quotaBytes: null })
    await ok('remove', { account: smith, name: 'old' })
    let rows = 0
    for (let steps = 0; steps < 10; steps++) {
      rows += (await ok('purge', { at: 1, blobsBefore: 0, removed: [] })).rows
    }
    // Three messages, the mailbox, three emails, three contents.
    assert.equal(rows, 10)
  })

  it('two storages on the same data never give a UID or MODSEQ twice', async ({ storage, another, inbox, fetch }) => {
    const second = await another()
    const deliver = async (on: MailStorage) => {
      for (let round = 0; round < 20; round++) {
        await on.write('deliver', [delivery(smith), delivery(smith)])
      }
    }
    await Promise.all([deliver(storage), deliver(second)])
    const { messages, uidNext, highestModseq } = await inbox()
    assert.deepEqual({ messages, uidNext, highestModseq }, { messages: 80, uidNext: 81, highestModseq: 81 })
    const rows = await fetch('1:*')
    assert.equal(new Set(rows?.map(({ modseq }) => modseq)).size, 80)
  })

  it('one delivery offered to two storages at once happens once', async ({ storage, another, inbox }) => {
    const second = await another()
    const same = Array.from({ length: 10 }, () => delivery(smith))
    const outcomes = await Promise.all(same.flatMap((one) => [storage, second].map((on) => on.write('deliver', [one]))))
    const kinds = outcomes.map((outcome) => outcome.kind === 'ok' && outcome.value[0]?.kind)
    assert.equal(kinds.filter((kind) => kind === 'delivered').length, 10)
    assert.equal(kinds.filter((kind) => kind === 'repeat').length, 10)
    assert.equal((await inbox()).messages, 10)
  })
}

type Want = Partial<FetchPageOf['want']>

interface Helpers extends StorageUnderTest {
  ok<Kind extends keyof Writes>(kind: Kind, input: Writes[Kind]['input']): Promise<Writes[Kind]['output']>
  inbox(account?: AccountId): Promise<MailboxInfo>
  filled(messages: number): Promise<MailboxInfo>
  fetch(uids: string, want?: Want, from?: MailboxInfo, account?: AccountId): Promise<Fetched[] | null>
}
type Fetched = NonNullable<Reads['fetch']['output']>['rows'][number]

function helpers({ storage, another }: StorageUnderTest): Helpers {
  const ok: Helpers['ok'] = async (kind, input) => {
    const outcome = await storage.write(kind, input)
    assert.ok(outcome.kind === 'ok', `${kind}: ${outcome.kind === 'refused' && outcome.reason}`)
    return outcome.value
  }
  const inbox: Helpers['inbox'] = async (account = smith) => {
    await ok('prepareAccount', { account })
    return (await storage.read('status', { account, name: 'INBOX' })) ?? assert.fail('no INBOX')
  }
  return {
    storage,
    another,
    ok,
    inbox,
    async filled(messages) {
      await ok(
        'deliver',
        Array.from({ length: messages }, () => delivery(smith)),
      )
      return inbox()
    },
    async fetch(uids, want = {}, from, account) {
      const { mailbox } = from ?? (await inbox())
      const owner =
        account ??
        ((await storage.read('list', { account: jones })).mailboxes.some((m) => m.mailbox === mailbox) ? jones : smith)
      const rows: Fetched[] = []
      let rest = parseUidSet(uids.replace('*', '4294967295'))
      const all = {
        flags: false,
        internalDate: false,
        size: false,
        envelope: false,
        structure: false,
        saveDate: false,
        sections: [],
      }
      while (rest.length > 0) {
        const page: Reads['fetch']['output'] = await storage.read('fetch', {
          account: owner,
          mailbox,
          uids: rest,
          want: { ...all, ...want },
          changedSince: null,
        })
        if (page === null) return null
        rows.push(...page.rows)
        rest = page.rest
      }
      return rows
    },
  }
}

const everythingAfter = (at: { account: AccountId; mailbox: number }, modseq: number) => ({
  ...at,
  modseq,
  uid: null,
  vanishedAfter: modseq,
  limit: 1000,
})

const refusal = (outcome: Outcome<unknown>): string => (outcome.kind === 'refused' ? outcome.code : `not refused`)
