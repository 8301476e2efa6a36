import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { BusUnavailable, type ConnectedBus } from '@postbus/bus'
import {
  createMailbox,
  fetchedMessages,
  fetchMessages,
  listMailboxes,
  MailboxChanged,
  MailLocal,
  mailboxStatus,
  syncMailbox,
} from '@postbus/contracts'
import { startPostgres } from '@postbus/testkit'

import { accept, around, smith, startMailstore, until } from './harness.ts'

const TEXT = 'Subject: hello\r\n\r\nhi\r\n'

async function replicas(t: TestContext, count: number) {
  const server = await startPostgres(t)
  const platform = await around(t, { ackWaitMs: 2000, database: server.url })
  // What waits for PostgreSQL is told so soon.
  Object.assign(platform.env, { DATABASE_BUSY_TIMEOUT_MS: '3000' })
  for (let number = 0; number < count; number++) await startMailstore(platform)
  const [imap, token] = [await platform.bus('imap'), await platform.tokenOf(smith)]
  // Their threads are up.
  const { mailbox, uidNext } = await patiently(() => imap.request(mailboxStatus, { token, name: 'INBOX' }))
  return { ...platform, server, imap, token, mailbox, uidNext }
}

/** Until somebody answers. */
async function patiently<R>(ask: () => Promise<R>): Promise<R> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof BusUnavailable)) throw error
    }
  }
}

async function subjectsIn(imap: ConnectedBus, token: string, mailbox: number): Promise<string[]> {
  const pages = imap.rows(fetchMessages, { token, mailbox, uids: '1:100000', want: { envelope: true } })
  const rows = await Array.fromAsync(pages)
  const messages = rows.flatMap(({ row, bytes }) => [...fetchedMessages(row, bytes)])
  return messages.map(({ envelope = '' }) => /^\("?[^"]*"? "([^"]*)"/.exec(envelope)?.[1] ?? envelope)
}

test('a front end hears at once of what any replica delivered, and any replica tells it what', async (t) => {
  const { imap, token, send, mailbox, uidNext } = await replicas(t, 2)
  const heard: number[] = []
  imap.listen(
    MailboxChanged,
    ({ mailboxes }) => void heard.push(...mailboxes.flatMap((of) => (of.mailbox === mailbox ? [of.uidNext] : []))),
    { account: smith },
  )
  for (let count = 1; count <= 10; count++) {
    await send(TEXT, smith)
    await until(() => heard.includes(uidNext + count))
    // Asked of whichever replica answers: what was announced is there.
    const rows = await Array.fromAsync(imap.rows(syncMailbox, { token, mailbox, modseq: 1 }))
    const uids = rows.flatMap(({ row }) => (row.kind === 'message' ? [row.uid] : []))
    assert.ok(uids.includes(uidNext + count - 1))
  }
})

test('PostgreSQL dies in the middle and comes back: what was answered is there, the rest is tried again, nobody is started anew', async (t) => {
  const { imap, token, bus, spool, statuses, server, mailbox } = await replicas(t, 2)
  const router = await bus('router')
  const count = 150
  const deliver = async (from: number, to: number) => {
    for (let number = from; number < to; number++) {
      for (const task of await accept(spool, `Subject: number ${number}\r\n\r\nhi\r\n`, [smith])) {
        await router.publish(MailLocal, task)
      }
    }
  }
  const created = new Set<string>()
  const refused: unknown[] = []
  let goOn = true
  const client = (async () => {
    for (let number = 0; goOn; number++) {
      const name = `box ${number}`
      try {
        await imap.request(createMailbox, { token, name }, { timeoutMs: 10_000 })
        created.add(name)
      } catch (error) {
        refused.push(error)
      }
    }
  })()

  await deliver(0, count / 3)
  await until(() => statuses.length >= count / 6 && created.size > 0)
  await server.stop()
  await deliver(count / 3, (2 * count) / 3)
  await until(() => refused.length > 0)
  await server.start()
  const before = created.size
  await until(() => created.size > before)
  goOn = false
  await client
  await deliver((2 * count) / 3, count)
  await until(() => new Set(statuses.map(({ queueId }) => queueId)).size === count, 120_000)

  assert.ok(refused.every((error) => error instanceof BusUnavailable))
  const { mailboxes } = await patiently(() => imap.request(listMailboxes, { token }))
  const names = new Set(mailboxes.map(({ name }) => name))
  assert.deepEqual(
    [...created].filter((name) => !names.has(name)),
    [],
    'what was answered is there',
  )
  const subjects = await subjectsIn(imap, token, mailbox)
  assert.equal(new Set(subjects).size, count, 'no delivery is missing')
  assert.equal(subjects.length, count, 'none is there twice')
})
