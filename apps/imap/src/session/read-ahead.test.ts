import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'

import { type FetchedPage, fetchMessages, type RowsContract } from '@postbus/contracts'
import { NumberSet } from '@postbus/imap-wire'
import type { z } from 'zod'

import type { Account } from './account.ts'
import { Allowance } from './allowance.ts'
import { Enabled } from './enabled.ts'
import { fetchPlan, type Want } from './fetch-plan.ts'
import { ReadAhead } from './read-ahead.ts'
import { SelectedMailbox } from './selected-mailbox.ts'

const MAX_BYTES = 16 * 1024
const LENGTH = 1000
const BODY: Want = fetchPlan(
  [{ kind: 'section', label: 'BODY[]', peek: true, section: { part: '', kind: 'all' } }],
  false,
).want

/** A mailbox of messages 1 to 1000, some of them gone already; what was asked of it. */
class Mailstore implements Pick<Account, 'rows'> {
  readonly asked: string[] = []
  readonly gone = new Set<number>()
  away = false
  /** Rows wait for it. */
  leave: Promise<void> = Promise.resolve()

  async *rows<I extends z.ZodType, R extends z.ZodType>(
    _contract: RowsContract<I, R>,
    input: (token: string) => z.input<I>,
  ) {
    const { uids } = fetchMessages.input.parse(input('token'))
    this.asked.push(uids)
    await this.leave
    // As on a bus: later than everything that waits for nothing.
    await setImmediate()
    if (this.away) throw new Error('away')
    const found = [...NumberSet.parse(uids)].filter((uid) => !this.gone.has(uid))
    for (const uid of found) {
      const page: FetchedPage = { uids: [uid], modseqs: [uid], lengths: [LENGTH] }
      yield { row: page as z.output<R>, bytes: [new Uint8Array(LENGTH).fill(uid)] }
    }
  }
}

interface Setting {
  mailstore: Mailstore
  selected: SelectedMailbox
  readAhead: ReadAhead
  allowance: Allowance
  /** Takes each; which of them were there. */
  take(...uids: number[]): Promise<number[]>
}

function setting({ total = MAX_BYTES, count = 1000 } = {}): Setting {
  const info = {
    ...{ mailbox: 7, mailboxId: 'F7', name: 'INBOX', uidValidity: 1, uidNext: count + 1, highestModseq: 10 },
    ...{ messages: count, unseen: 0, deleted: 0, size: 0, recent: 0, keywords: [], specialUse: [], subscribed: true },
  }
  const uids = NumberSet.range(1, count)
  const selected = new SelectedMailbox(info, uids, { recentFrom: 1, readOnly: false, enabled: new Enabled() })
  const mailstore = new Mailstore()
  const allowance = new Allowance(total)
  const readAhead = new ReadAhead(allowance, MAX_BYTES)
  const take = async (...uids: number[]): Promise<number[]> => {
    const there: number[] = []
    for (const uid of uids) {
      const message = await readAhead.take({ account: mailstore, selected, uid, want: BODY })
      if (message === undefined) continue
      assert.equal(message.uid, uid)
      const [section] = message.sections ?? []
      assert.ok(section?.kind === 'inline' && section.octets.every((octet) => octet === uid % 256))
      there.push(uid)
    }
    return there
  }
  return { mailstore, selected, readAhead, allowance, take }
}

const series = (first: number, count: number, step = 1): number[] =>
  Array.from({ length: count }, (_, at) => first + at * step)

test('from the third message at equal distances on the next ones are there when they are asked for', async () => {
  for (const [first, step] of [
    [1, 1],
    [900, -1],
    [5, 7],
  ] as const) {
    const { take, mailstore } = setting()
    const uids = series(first, 100, step)
    assert.deepEqual(await take(...uids), uids.slice(3))
    assert.ok(mailstore.asked.length < 30, `${mailstore.asked.length} requests`)
  }
})

test('a client that jumps about has nothing read for it', async () => {
  const { take, mailstore } = setting()
  assert.deepEqual(await take(5, 1, 9, 9, 9, 2, 7), [])
  assert.deepEqual(mailstore.asked, [])
})

test('the end of the mailbox is the end', async () => {
  const { take } = setting({ count: 5 })
  assert.deepEqual(await take(1, 2, 3, 4, 5), [4, 5])
})

test('a message that is gone is not there, and those after it are', async () => {
  const { take, mailstore } = setting()
  mailstore.gone.add(6)
  assert.deepEqual(await take(...series(1, 8)), [4, 5, 7, 8])
})

test('after news of the mailbox nothing is given out that was read before', async () => {
  const { take, selected, mailstore } = setting()
  await take(1, 2, 3, 4)
  selected.mayHaveChanged()
  mailstore.gone.add(5)
  assert.deepEqual(await take(5, 6), [6])
  // News that come while it is being read.
  const { promise, resolve } = Promise.withResolvers<void>()
  selected.mayHaveChanged()
  mailstore.leave = promise
  await take(7)
  const taken = take(8)
  selected.mayHaveChanged()
  resolve()
  assert.deepEqual(await taken, [])
})

test('what is held is bounded, and given back when it is dropped', async () => {
  const { take, mailstore, readAhead, allowance } = setting()
  await take(1, 2, 3, 4)
  const asked = mailstore.asked.reduce((sum, uids) => sum + NumberSet.parse(uids).size, 0)
  assert.ok(asked * LENGTH <= MAX_BYTES, `${asked} messages`)
  assert.equal(allowance.take(1), false)
  readAhead.drop()
  readAhead.drop()
  assert.equal(allowance.take(MAX_BYTES), true)
})

test('without an allowance nothing is read ahead', async () => {
  const { take, mailstore } = setting({ total: MAX_BYTES - 1 })
  assert.deepEqual(await take(...series(1, 10)), [])
  assert.deepEqual(mailstore.asked, [])
})

test('a mailstore that is away is met by the command itself', async () => {
  const { take, mailstore } = setting()
  mailstore.away = true
  assert.deepEqual(await take(...series(1, 10)), [])
  mailstore.away = false
  assert.deepEqual((await take(11, 12)).at(-1), 12)
})

test('what was read ages: after some seconds it is asked for again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { take, mailstore } = setting()
  await take(1, 2, 3, 4)
  t.mock.timers.tick(5000)
  mailstore.gone.add(5)
  assert.deepEqual(await take(5, 6), [6])
})
