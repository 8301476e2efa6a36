/** Deliveries: once per account and message, shared content, exact quota; from two processes too. */
import assert from 'node:assert/strict'

import { AccountId } from '@postbus/contracts'

import type { MailStorage } from '../../../mailbox/storage.ts'
import { delivery, jones, MESSAGE, newQueueId, smith, suiteOf, type OpenStorage } from './suite.contract.ts'

export function deliveriesContract(name: string, open: OpenStorage): void {
  const it = suiteOf(name, open)

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
    assert.equal(known?.deliveredAt, null)
    const [done] = await storage.read('known', [{ queueId, account: smith }])
    assert.deepEqual(done, { deliveredAt: one.at, content: null })
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
