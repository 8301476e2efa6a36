import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { type ConnectedBus, RequestRefused } from '@postbus/bus'
import {
  appendMessages,
  copyMessages,
  createMailbox,
  deleteMailbox,
  expungeMessages,
  fetchedMessages,
  fetchMessages,
  listMailboxes,
  MailboxChanged,
  MailLocal,
  mailboxStatus,
  openMailbox,
  quotaOf,
  renameMailbox,
  type RowsContract,
  searchMailbox,
  STAGED_PREFIX,
  storeFlags,
  subscribeMailbox,
  syncMailbox,
} from '@postbus/contracts'
import type { z } from 'zod'

import { type Around, around, blobsOf, jones, smith, startMailstore, until } from './harness.ts'

const SMALL = 'Subject: hello\r\nFrom: ann@example.net\r\nDate: Mon, 1 Jun 2026 10:00:00 +0000\r\n\r\nhi there\r\n'

async function all<I extends z.ZodType, R extends z.ZodType>(
  bus: ConnectedBus,
  contract: RowsContract<I, R>,
  input: z.input<I>,
) {
  return Array.fromAsync(bus.rows(contract, input))
}

async function fetched(bus: ConnectedBus, input: z.input<typeof fetchMessages.input>) {
  const pages = await all(bus, fetchMessages, input)
  return pages.flatMap(({ row, bytes }) => [...fetchedMessages(row, bytes)])
}

async function started(t: TestContext) {
  const platform = await around(t)
  await startMailstore(platform)
  const imap = await platform.bus('imap')
  return { ...platform, imap, token: await platform.tokenOf(smith) }
}

const delivered =
  ({ statuses }: Around, count: number) =>
  () =>
    statuses.filter(({ kind }) => kind === 'delivered').length >= count

async function inbox(imap: ConnectedBus, token: string) {
  return imap.request(mailboxStatus, { token, name: 'inbox' })
}

const allWanted = {
  flags: true,
  internalDate: true,
  size: true,
  envelope: true,
  structure: true,
  basicStructure: true,
  saveDate: true,
}

test('a routed message is in the mailbox, reported as delivered, and front ends hear of it', async (t) => {
  const platform = await started(t)
  const { imap, token, send, statuses } = platform
  const hints: MailboxChanged[] = []
  imap.listen(MailboxChanged, (hint) => void hints.push(hint), { account: smith })
  await imap.request(listMailboxes, { token })

  const [task] = await send(SMALL, smith)
  await until(delivered(platform, 1))
  assert.deepEqual(
    statuses.map((status) => [status.kind, status.queueId, 'account' in status && status.account]),
    [['delivered', task?.queueId, smith]],
  )
  const { mailbox, uidNext, messages, unseen, recent } = await inbox(imap, token)
  assert.deepEqual({ uidNext, messages, unseen, recent }, { uidNext: 2, messages: 1, unseen: 1, recent: 1 })
  await until(() => hints.some(({ mailboxes }) => mailboxes.some((of) => of.mailbox === mailbox && of.uidNext === 2)))

  const want = { ...allWanted, sections: [{ part: '', kind: 'all' as const }] }
  const [message] = await fetched(imap, { token, mailbox, uids: '1:9', want })
  const whole = `Return-Path: <ann@example.net>\r\nDelivered-To: smith000@example.org\r\n${SMALL}`
  const [section] = message?.sections ?? []
  assert.equal(section?.kind === 'inline' && Buffer.from(section.octets).toString('latin1'), whole)
  assert.equal(message?.size, whole.length)
  assert.match(
    message.envelope ?? '',
    /^\("Mon, 1 Jun 2026 10:00:00 \+0000" "hello" \(\(NIL NIL "ann" "example.net"\)\)/,
  )
  assert.match(message.basicStructure ?? '', /^\("text" "plain"/i)
})

test('a task that comes again changes nothing and reports the same', async (t) => {
  const platform = await started(t)
  const { imap, token, send, statuses, bus } = platform
  const [task] = await send(SMALL, smith)
  await until(delivered(platform, 1))
  // Custody publishes it again under another incarnation: another message to the bus, the same one to us.
  const custody = await bus('custody')
  assert.ok(task)
  await custody.publish(MailLocal, { ...task, incarnation: 1 })
  await until(delivered(platform, 2))
  assert.deepEqual(
    statuses.map(({ incarnation }) => incarnation),
    [0, 1],
  )
  assert.equal((await inbox(imap, token)).messages, 1)
})

test('a removed account and a full mailbox end with the status that says so', async (t) => {
  const platform = await started(t)
  const { accounts, send, statuses, imap, token } = platform
  accounts.set(smith, 100)
  accounts.delete(jones)
  await send(SMALL, smith, jones)
  await until(() => statuses.length === 2)
  const failed = statuses.map((status) => (status.kind === 'failed' ? `${status.status} ${status.rule}` : status.kind))
  assert.deepEqual(failed.sort(), ['5.1.1 account-removed', '5.2.2 quota'])
  assert.deepEqual(await imap.request(quotaOf, { token }), { usedBytes: 0, messages: 0, limitBytes: 100 })
})

test('a large message is adopted once for all its recipients and read through its blob', async (t) => {
  const platform = await started(t)
  const { imap, token, tokenOf, send } = platform
  const body = 'all work and no play\r\n'.repeat(20_000)
  await send(`Subject: large\r\nContent-Type: text/plain\r\n\r\n${body}`, smith, jones)
  await until(delivered(platform, 2))
  const blobs = blobsOf(platform)
  const kept = await Array.fromAsync(blobs.list('content/'))
  assert.equal(kept.length, 1)

  const { mailbox, size } = await inbox(imap, token)
  const sections = [
    { part: '', kind: 'all' as const },
    { part: '1', kind: 'all' as const, partial: [20_000, 10] as [number, number] },
  ]
  const [message] = await fetched(imap, { token, mailbox, uids: '1', want: { size: true, sections } })
  const [whole, piece] = message?.sections ?? []
  assert.ok(whole?.kind === 'blob' && piece?.kind === 'inline')
  const parts = await Array.fromAsync(blobs.read(whole.blob, { offset: whole.offset, length: whole.length }))
  const text = Buffer.concat([whole.lead, ...parts]).toString('latin1')
  assert.equal(text.length, size)
  assert.match(text, /^Return-Path: <ann@example.net>\r\nDelivered-To: smith000@example.org\r\nSubject: large\r\n/)
  assert.ok(text.endsWith(body))
  assert.equal(Buffer.from(piece.octets).toString(), body.slice(20_000, 20_010))
  const found = await all(imap, searchMailbox, { token, mailbox, key: { kind: 'body', value: 'NO PLAY' } })
  assert.deepEqual(
    found.map(({ row: { uids } }) => uids),
    ['1'],
  )
  const theirs = await inbox(imap, await tokenOf(jones))
  assert.equal(theirs.messages, 1)
})

test('a session without a valid token is told nothing', async (t) => {
  const { imap } = await started(t)
  const refused = (error: unknown) => error instanceof RequestRefused && error.code === 'tokenInvalid'
  await assert.rejects(imap.request(listMailboxes, { token: 'forged' }), refused)
  await assert.rejects(all(imap, fetchMessages, { token: 'forged', mailbox: 1, uids: '1:9', want: {} }), refused)
})

test('what a client does with mailboxes and messages, through the front door', async (t) => {
  const platform = await started(t)
  const { imap, token, send } = platform
  await send(SMALL, smith)
  await send(SMALL, smith)
  await until(delivered(platform, 2))

  await imap.request(createMailbox, { token, name: 'Projects/2026' })
  await imap.request(subscribeMailbox, { token, name: 'Projects', subscribed: true })
  const refusal = async (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => error.code,
    )
  assert.equal(await refusal(imap.request(createMailbox, { token, name: 'inbox' })), 'exists')
  assert.equal(await refusal(imap.request(createMailbox, { token, name: 'a//b' })), 'invalid')
  assert.equal(await refusal(imap.request(createMailbox, { token, name: 'v', specialUse: ['\\All'] })), 'invalid')
  assert.equal(await refusal(imap.request(deleteMailbox, { token, name: 'INBOX' })), 'invalid')
  assert.equal(await refusal(imap.request(renameMailbox, { token, from: 'Projects', to: 'Projects/x' })), 'invalid')
  assert.equal(await refusal(imap.request(mailboxStatus, { token, name: 'Nowhere' })), 'noSuchMailbox')

  const opened = await all(imap, openMailbox, { token, name: 'INBOX', readOnly: false })
  const [first, second] = opened.map(({ row }) => row)
  assert.ok(first?.kind === 'mailbox' && second?.kind === 'uids')
  assert.deepEqual([first.recentFrom, first.firstUnseen, first.info.recent, second.uids], [1, 1, 2, '1:2'])
  const { mailbox, highestModseq } = first.info
  const again = await all(imap, openMailbox, { token, name: 'INBOX', readOnly: false })
  assert.ok(again[0]?.row.kind === 'mailbox' && again[0].row.recentFrom === 3 && again[0].row.info.recent === 0)

  const marked = await fetched(imap, { token, mailbox, uids: '2', want: {}, markSeen: true })
  assert.deepEqual(marked[0]?.flags, ['\\Seen'])
  const stored = await all(imap, storeFlags, { token, mailbox, uids: '1:2', mode: 'add', flags: ['\\Deleted', 'Work'] })
  assert.deepEqual(
    stored.map(({ row }) => row.kind === 'stored' && [row.uid, ...row.flags]),
    [
      [1, '\\Deleted', 'Work'],
      [2, '\\Deleted', '\\Seen', 'Work'],
    ],
  )
  const copied = await imap.request(copyMessages, { token, mailbox, uids: '1:2', to: 'Projects/2026', move: false })
  assert.deepEqual([copied.from, copied.to], ['1:2', '1:2'])
  const { vanished } = await imap.request(expungeMessages, { token, mailbox, uids: '2' })
  assert.equal(vanished, '2')

  const synced = await all(imap, syncMailbox, { token, mailbox, modseq: highestModseq, claimRecent: true })
  assert.deepEqual(
    synced.map(({ row }) => (row.kind === 'message' ? row.uid : row.kind === 'vanished' ? row.uids : row.kind)),
    ['2', 1, 'now'],
  )
  const found = await all(imap, searchMailbox, { token, mailbox, key: { kind: 'flag', flag: 'work' } })
  assert.deepEqual(
    found.map(({ row: { uids } }) => uids),
    ['1'],
  )
})

test('appended messages come out of the staged blobs, which are gone afterwards', async (t) => {
  const platform = await started(t)
  const { imap, token } = platform
  const blobs = blobsOf(platform)
  const stage = async (name: string, text: string) => {
    const blob = `${STAGED_PREFIX}${name}`
    await blobs.put(
      blob,
      (async function* () {
        yield Buffer.from(text)
      })(),
      { durable: false },
    )
    return { blob, size: text.length, flags: ['\\Seen'], internalDate: '2020-02-02T02:02:02Z' }
  }
  const large = `Subject: large\r\n\r\n${'x'.repeat(100_000)}`
  const messages = [await stage('1', SMALL), await stage('2', large)]
  const appended = await imap.request(appendMessages, { token, name: 'Sent', messages })
  assert.equal(appended.uids, '1:2')
  assert.deepEqual(await Array.fromAsync(blobs.list(STAGED_PREFIX)), [])
  const { mailbox, size, unseen } = await imap.request(mailboxStatus, { token, name: 'Sent' })
  assert.deepEqual([size, unseen], [SMALL.length + large.length, 0])
  const [message] = await fetched(imap, { token, mailbox, uids: '1', want: { internalDate: true } })
  assert.equal(message?.internalDate, Date.parse('2020-02-02T02:02:02.000Z'))

  const missing = { blob: `${STAGED_PREFIX}none`, size: 1, flags: [] }
  await assert.rejects(
    imap.request(appendMessages, { token, name: 'Sent', messages: [missing] }),
    (error) => error instanceof RequestRefused && error.code === 'noSuchBlob',
  )
})
