/** Messages are copied, moved, appended, read and expunged. */
import assert from 'node:assert/strict'

import type { FetchedMessage, FetchedSection, Section } from '@postbus/contracts'

import { parseFlags } from '../../../mailbox/flags.ts'
import { formatUidSet, parseUidSet, type UidRange } from '../../../mailbox/uid-ranges.ts'
import {
  content,
  delivery,
  everythingAfter,
  MESSAGE,
  refusal,
  smith,
  suiteOf,
  type OpenStorage,
} from './suite.contract.ts'

/** Sections with their octets as text. */
const plain = (messages: readonly Pick<FetchedMessage, 'sections'>[]): unknown =>
  messages.map(({ sections = [] }) =>
    sections.map((section) =>
      Object.fromEntries(
        Object.entries(section).map(([name, value]) => [
          name,
          value instanceof Uint8Array ? Buffer.from(value).toString() : value,
        ]),
      ),
    ),
  )

const inline = (text: string): FetchedSection => ({ kind: 'inline', octets: Buffer.from(text) })

export function messagesContract(name: string, open: OpenStorage): void {
  const it = suiteOf(name, open)

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
    // RFC 8474 §5.1: a copy is the same message.
    const original = (await fetch('3', { emailId: true }))?.[0]?.emailId
    assert.ok(original)
    assert.equal((await fetch('2', { emailId: true }, archive))?.[0]?.emailId, original)
    assert.notEqual((await fetch('1', { emailId: true }))?.[0]?.emailId, original)
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

  it('a copy over quota, to nowhere or of too few leaves no trace', async ({ filled, storage }) => {
    const { mailbox, size } = await filled(2)
    const to = (name: string, atLeast = 0) =>
      storage.write('copy', {
        mailbox,
        account: smith,
        uids: [[1, 2]],
        to: name,
        ...{ move: false, atLeast },
        at: 9,
        quotaBytes: size + 1,
      })
    assert.equal(refusal(await to('Archive')), 'overQuota')
    assert.equal(refusal(await to('Nowhere')), 'noSuchTarget')
    assert.equal(refusal(await to('Archive', 3)), 'noSuchMessage')
    assert.equal((await storage.read('account', { account: smith }))?.usedBytes, size)
  })

  it('a copy whose UIDs no answer could name leaves no trace; INBOX is renamed all the same', async (helpers) => {
    const { ok, filled, storage, inbox } = helpers
    const at = { account: smith, mailbox: (await filled(40)).mailbox }
    const odd = Array.from({ length: 20 }, (_, index): UidRange => [2 * index + 1, 2 * index + 1])
    for (const uids of [odd.slice(0, 10), odd.slice(10)]) await ok('expunge', { ...at, uids, any: true })
    const all = { ...at, uids: [[1, 40] as const], at: 9, quotaBytes: null }
    for (const move of [false, true])
      assert.equal(refusal(await storage.write('copy', { ...all, to: 'Archive', move })), 'limit')
    assert.equal((await storage.read('status', { account: smith, name: 'Archive' }))?.uidNext, 1)
    assert.equal((await inbox()).messages, 20)
    await ok('rename', { account: smith, from: 'INBOX', to: 'Before' })
    assert.equal((await storage.read('status', { account: smith, name: 'Before' }))?.messages, 20)
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

  it('fetch finds sparse and wide sets alike, and leaves out what is gone', async ({ ok, filled, fetch }) => {
    const { mailbox } = await filled(30)
    await ok('expunge', { mailbox, account: smith, uids: parseUidSet('5:9,20'), any: true })
    const uids = async (set: string) => (await fetch(set))?.map(({ uid }) => uid)
    assert.deepEqual(await uids('1,3:6,20:22,4000000000'), [1, 3, 4, 21, 22])
    assert.deepEqual((await uids('1:4294967295'))?.length, 24)
    assert.deepEqual(await uids('5:9'), [])
  })

  it('a header is the same in whatever company it is asked for, also one that is too long to be held', async (with_) => {
    const { ok, fetch } = with_
    const header = `Subject: ${'long '.repeat(20_000)}\r\n\r\n`
    const blob = { key: 'content/long', offset: 7 }
    const long = content(`${header}hi\r\n`, {
      header: new Uint8Array(Buffer.from(header.slice(0, 1000))),
      body: null,
      blob,
    })
    await ok('prepareAccount', { account: smith })
    await ok('deliver', [delivery(smith), delivery(smith, { content: long }), delivery(smith)])
    const sections: Section[] = [{ part: '', kind: 'header' }]
    const short = Buffer.from('Return-Path: <>\r\nSubject: hello\r\n\r\n')
    const lead = Buffer.from('Return-Path: <>\r\n')
    const expected: FetchedSection[][] = [
      [{ kind: 'inline', octets: short }],
      [{ kind: 'blob', blob: blob.key, offset: blob.offset, length: header.length, lead }],
      [{ kind: 'inline', octets: short }],
    ]
    for (const more of [{}, { internalDate: true }, { size: true, structure: true }]) {
      for (const set of ['1:9', '1:2,3:4', '3,1:2'])
        assert.deepEqual(
          plain((await fetch(set, { sections, ...more })) ?? []),
          plain(expected.map((each) => ({ sections: each }))),
        )
    }
  })

  it('headers of many messages have the octets that came, whatever those are', async ({ ok, fetch }) => {
    const octets = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet)).toString('latin1')
    const subject = `Subject: ${octets.replaceAll(/[\r\n]/g, '')}\r\n`
    const header = `${subject}X-Other: \xff\r\n\r\n`
    const prefixes = ['', 'Return-Path: <\xe9>\r\n']
    await ok('prepareAccount', { account: smith })
    await ok(
      'deliver',
      prefixes.map((prefix) =>
        delivery(smith, {
          content: content(`${header}hi\r\n`),
          prefix: new Uint8Array(Buffer.from(prefix, 'latin1')),
        }),
      ),
    )
    const read = async (section: Section) =>
      (await fetch('1:9', { sections: [section] }))?.map(({ sections: [found] = [] }) =>
        found?.kind === 'inline' ? Buffer.from(found.octets).toString('latin1') : found,
      )
    assert.deepEqual(
      await read({ part: '', kind: 'header' }),
      prefixes.map((prefix) => prefix + header),
    )
    assert.deepEqual(await read({ part: '', kind: 'fields', fields: ['Subject'] }), [
      `${subject}\r\n`,
      `${subject}\r\n`,
    ])
  })

  it('a header asked for twice, under another name, is there twice', async ({ filled, fetch }) => {
    await filled(2)
    const header = inline('Return-Path: <>\r\nSubject: hello\r\n\r\n')
    const sections: Section[] = [
      { part: '', kind: 'header' },
      { part: '', kind: 'header' },
    ]
    const both = { sections: [header, header] }
    assert.deepEqual(plain((await fetch('1', { sections })) ?? []), plain([both]))
    assert.deepEqual(plain((await fetch('1:2', { sections })) ?? []), plain([both, both]))
  })

  it('a page is as long as fills it, judging by the page before', async ({ ok, inbox, fetchPages }) => {
    const lengths = Array.from({ length: 200 }, (_, at) => (at === 9 ? 50_000 : 3000))
    const headers = lengths.map((length, at) => `Subject: ${at}\r\nX-Long: ${'x'.repeat(length)}\r\n\r\n`)
    const { mailbox } = await inbox()
    await ok(
      'deliver',
      headers.map((header) => delivery(smith, { content: content(`${header}hi\r\n`), prefix: new Uint8Array() })),
    )
    const pagesOf = async (section: Section) => {
      const pages = await Array.fromAsync(fetchPages({ account: smith, mailbox }, '1:200', { sections: [section] }))
      return pages.map((page) => page ?? assert.fail('no such mailbox'))
    }
    const sectionsOf = (pages: readonly { messages: FetchedMessage[] }[]) =>
      plain(pages.flatMap((page) => page.messages))
    const whole = await pagesOf({ part: '', kind: 'header' })
    assert.deepEqual(sectionsOf(whole), plain(headers.map((header) => ({ sections: [inline(header)] }))))
    for (const { limit, messages } of whole.slice(1)) {
      assert.ok(limit !== undefined && limit > 50 && limit < 80 && messages.length <= limit, `${limit}`)
    }
    const subjects = await pagesOf({ part: '', kind: 'fields', fields: ['Subject'] })
    assert.deepEqual(
      sectionsOf(subjects),
      plain(headers.map((_, at) => ({ sections: [inline(`Subject: ${at}\r\n\r\n`)] }))),
    )
    assert.deepEqual(
      subjects.map(({ nextLimit }) => nextLimit),
      [1000],
    )
  })

  it('header fields asked for again are the same, and of the messages there are then', async ({
    ok,
    filled,
    fetch,
  }) => {
    const { mailbox } = await filled(30)
    const fields = { sections: [{ part: '', kind: 'fields' as const, fields: ['Subject'] }] }
    const read = async () => (await fetch('1:*', fields))?.map(({ uid, sections }) => ({ uid, sections }))
    const first = await read()
    assert.equal(first?.length, 30)
    assert.deepEqual(await read(), first)
    await ok('expunge', { mailbox, account: smith, uids: parseUidSet('5:9'), any: true })
    assert.deepEqual(
      await read(),
      first.filter(({ uid }) => uid < 5 || uid > 9),
    )
    const message = { flags: parseFlags([]), internalDate: 1, saveDate: 2, content: content(MESSAGE) }
    await ok('append', { account: smith, name: 'INBOX', quotaBytes: null, messages: [message] })
    assert.deepEqual(
      (await read())?.map(({ uid }) => uid),
      [...first.map(({ uid }) => uid).filter((uid) => uid < 5 || uid > 9), 31],
    )
  })

  it('a message is replaced in one step, in its own mailbox or another, and quota counts the difference', async ({
    ok,
    storage,
    filled,
    inbox,
  }) => {
    const { mailbox, highestModseq, size } = await filled(3)
    const message = { flags: parseFlags(['\\Draft']), internalDate: 1, saveDate: 2, content: content(MESSAGE) }
    const to = { account: smith, quotaBytes: null, messages: [message] }
    const here = await ok('append', { ...to, name: 'INBOX', replaces: { mailbox, uid: 2 } })
    assert.deepEqual(here.uids, [4, 4])
    const page = await storage.read('sync', everythingAfter({ account: smith, mailbox }, highestModseq))
    assert.deepEqual([formatUidSet(page?.vanished ?? []), page?.messages.map(({ uid }) => uid)], ['2', [4]])
    await ok('append', { ...to, name: 'Drafts', replaces: { mailbox, uid: 4 }, quotaBytes: size })
    const after = await inbox()
    assert.deepEqual([after.messages, after.unseen], [2, 2])
    const used = await storage.read('account', { account: smith })
    assert.equal(used?.messages, 3)
    const drafts = await storage.read('status', { account: smith, name: 'Drafts' })
    assert.equal(used?.usedBytes, after.size + (drafts?.size ?? 0))
    const again = { ...to, name: 'Drafts', replaces: { mailbox, uid: 4 } }
    assert.equal(refusal(await storage.write('append', again)), 'noSuchMessage')
    assert.equal((await storage.read('status', { account: smith, name: 'Drafts' }))?.messages, 1)
  })

  it('what EXPUNGE would give back is counted by mailbox', async ({ ok, storage, filled }) => {
    const { mailbox, size } = await filled(3)
    const sizes = () => storage.read('deletedSizes', { account: smith, mailbox: null })
    assert.deepEqual(await sizes(), [])
    const marked = { account: smith, mailbox, mode: 'add', flags: parseFlags(['\\Deleted']) } as const
    await ok('store', { ...marked, uids: parseUidSet('1:2'), unchangedSince: null })
    assert.deepEqual(await sizes(), [[mailbox, (size / 3) * 2]])
    assert.deepEqual(await storage.read('deletedSizes', { account: smith, mailbox: mailbox + 1 }), [])
  })
}
