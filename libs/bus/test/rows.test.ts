import assert from 'node:assert/strict'
import { test } from 'node:test'

import { connect, nkeyAuthenticator } from '@nats-io/transport-node'
import { fetchMessages, searchMailbox } from '@postbus/contracts'

import { BusUnavailable, RequestRefused } from '../src/index.ts'
import { platform, until } from './harness.ts'

const fetchAll = { token: 't', mailbox: 1, uids: '1:9', want: {} }
const search = { token: 't', mailbox: 1, key: { kind: 'all' as const } }
const message = (uid: number, ...bytes: Uint8Array[]) => ({ row: { uids: [uid], modseqs: [uid] }, bytes })

test('rows and their bytes arrive whole and in order, however they were cut', async (t) => {
  const { bus } = await platform(t)
  const mailstore = await bus('mailstore')
  const imap = await bus('imap')
  const sizes = [0, 1, 300_000, 70_000, 0, 262_144, 1_000_000, 5]
  await mailstore.answerRows(fetchMessages, async function* () {
    for (const [index, size] of sizes.entries()) {
      yield message(index + 1, new Uint8Array(size).fill(index), new Uint8Array(3).fill(200 + index))
    }
  })
  const got: number[] = []
  for await (const { row, bytes } of imap.rows(fetchMessages, fetchAll)) {
    const [large, small] = bytes
    const [uid = 0] = row.uids
    assert.ok(large?.every((byte) => byte === uid - 1))
    assert.deepEqual([...(small ?? [])], [199 + uid, 199 + uid, 199 + uid])
    got.push(large?.length ?? -1)
  }
  assert.deepEqual(got, sizes)
})

test('no rows are no rows', async (t) => {
  const { bus } = await platform(t)
  const mailstore = await bus('mailstore')
  const imap = await bus('imap')
  // oxlint-disable-next-line require-yield
  await mailstore.answerRows(fetchMessages, async function* () {})
  for await (const _ of imap.rows(fetchMessages, fetchAll)) assert.fail('a row')
})

test('a reader that stops reading stops its answerer, and nobody else', async (t) => {
  const { bus } = await platform(t)
  const mailstore = await bus('mailstore')
  const imap = await bus('imap')
  let produced = 0
  await mailstore.answerRows(fetchMessages, async function* () {
    for (let uid = 1; uid <= 1000; uid++) {
      produced++
      yield message(uid, new Uint8Array(65_536))
    }
  })
  await mailstore.answerRows(searchMailbox, async function* () {
    yield { row: { uids: '1:5' } }
  })
  const slow = imap.rows(fetchMessages, fetchAll)[Symbol.asyncIterator]()
  await slow.next()
  let settled = -1
  await until(async () => {
    const before = settled
    settled = produced
    await new Promise((resolve) => setTimeout(resolve, 50))
    return produced === before
  })
  assert.ok(produced < 40, `${produced} rows of 64 KiB produced for one that was read`)
  const found: string[] = []
  for await (const { row } of imap.rows(searchMailbox, search)) found.push(row.uids)
  assert.deepEqual(found, ['1:5'])
  let rest = 1
  while (!(await slow.next()).done) rest++
  assert.equal(rest, 1000)
})

test('an asker that leaves its loop ends the work of the answerer', async (t) => {
  const { bus } = await platform(t)
  const mailstore = await bus('mailstore')
  const imap = await bus('imap')
  const returned = Promise.withResolvers<void>()
  let aborted = false
  await mailstore.answerRows(fetchMessages, async function* (_input, { signal }) {
    signal.addEventListener('abort', () => (aborted = true))
    try {
      for (let uid = 1; ; uid++) yield message(uid, new Uint8Array(65_536))
    } finally {
      returned.resolve()
    }
  })
  for await (const { row } of imap.rows(fetchMessages, fetchAll)) if (row.uids[0] === 3) break
  await returned.promise
  assert.equal(aborted, true)
})

test('a refusal is a refusal, and a fault in the middle is unavailable, after the rows that came', async (t) => {
  const { bus } = await platform(t)
  const mailstore = await bus('mailstore')
  const imap = await bus('imap')
  await mailstore.answerRows(fetchMessages, async function* ({ mailbox }) {
    if (mailbox === 1) throw new RequestRefused('noSuchMailbox', 'gone')
    yield message(1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    throw new Error('disk')
  })
  const read = async (mailbox: number): Promise<number> => {
    let count = 0
    try {
      for await (const _ of imap.rows(fetchMessages, { ...fetchAll, mailbox })) count++
    } catch (error) {
      if (mailbox === 1) assert.ok(error instanceof RequestRefused && error.code === 'noSuchMailbox')
      else assert.ok(error instanceof BusUnavailable)
      return count
    }
    return assert.fail('no error')
  }
  assert.equal(await read(1), 0)
  assert.equal(await read(2), 1)
})

test('nobody to answer is known at once', async (t) => {
  const { bus } = await platform(t)
  const imap = await bus('imap')
  await assert.rejects(async () => {
    for await (const _ of imap.rows(fetchMessages, fetchAll)) assert.fail('a row')
  }, /nobody answers/)
})

test('a frame that was lost ends the rows with an error, never with a gap', async (t) => {
  const { nats, bus } = await platform(t)
  const imap = await bus('imap')
  const raw = await connect({
    servers: nats.url,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(nats.seeds.mailstore)),
    inboxPrefix: '_INBOX_mailstore',
  })
  t.after(() => raw.close())
  const frame = (type: number, number: number): Uint8Array => Uint8Array.from([type, 0, 0, 0, number])
  raw.subscribe(fetchMessages.subject, {
    queue: 'mailstore',
    callback: (_error, question) => {
      question.respond(frame(0, 0))
      question.respond(frame(1, 2))
    },
  })
  await raw.flush()
  await assert.rejects(async () => {
    for await (const _ of imap.rows(fetchMessages, fetchAll)) assert.fail('a row')
  }, /a frame was lost/)
})

test('rows end with an error when the connection breaks under them', async (t) => {
  const { nats, bus } = await platform(t)
  const mailstore = await bus('mailstore')
  const imap = await bus('imap')
  await mailstore.answerRows(fetchMessages, async function* () {
    yield message(1)
    await new Promise(() => {})
  })
  await assert.rejects(async () => {
    for await (const _ of imap.rows(fetchMessages, fetchAll)) {
      await nats.kill()
      await nats.start()
    }
  }, BusUnavailable)
})

test('an asker that dies without a word ends the work of the answerer', async (t) => {
  const { bus } = await platform(t)
  const mailstore = await bus('mailstore')
  const returned = Promise.withResolvers<void>()
  await mailstore.answerRows(fetchMessages, async function* (_input, { signal }) {
    try {
      for (let uid = 1; !signal.aborted; uid++) {
        yield message(uid)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    } finally {
      returned.resolve()
    }
  })
  const doomed = await bus('imap')
  const first = doomed.rows(fetchMessages, fetchAll)[Symbol.asyncIterator]()
  await first.next()
  // The connection goes, nothing is said.
  await doomed.close()
  await returned.promise
})
