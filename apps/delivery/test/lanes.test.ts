/** Lanes over replicas, on a real bus. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { platform, queueId, type RecipientStatus, type Replica } from './platform.ts'

const lanesOf = (replicas: Replica[]): Promise<number[]> =>
  Promise.all(replicas.map((replica) => replica.metric('mail_delivery_lanes')))

/** The end of a balance cannot be waited for otherwise than by looking. */
async function balanced(replicas: Replica[], expected: number[]): Promise<void> {
  const sorted = (numbers: number[]): string => numbers.toSorted((a, b) => a - b).join(' ')
  while (sorted(await lanesOf(replicas)) !== sorted(expected)) await new Promise((resolve) => setTimeout(resolve, 50))
}

const of = (statuses: RecipientStatus[], wanted: string): RecipientStatus[] =>
  statuses.filter(({ kind }) => kind === wanted)

test(
  'replicas that come share the lanes, those of one that died are taken over, and nobody is written to twice',
  { timeout: 180_000 },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t)
    let sent = 0
    const sendSome = async (): Promise<void> => {
      const paths = Array.from({ length: 100 }, () => `ann@site${++sent}.test`)
      await send(queueId(sent), paths)
    }
    const settings = { DELIVERY_LEASE_MS: '3000' }
    const first = await delivery(settings)
    await balanced([first], [32])
    await sendSome()
    const second = await delivery(settings)
    await sendSome()
    await balanced([first, second], [16, 16])
    await sendSome()
    const third = await delivery(settings)
    await sendSome()
    await balanced([first, second, third], [11, 11, 10])
    await until(() => of(statuses, 'relayed').length === sent)
    await first.die()
    await balanced([second, third], [16, 16])
    await sendSome()
    await until(() => of(statuses, 'relayed').length === sent)
    assert.equal(sink.messages.flatMap(({ recipients }) => recipients).length, sent)
  },
)

test(
  'scaled to none and up again with deferred mail waiting: nothing is lost, and nothing comes early',
  { timeout: 180_000 },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t)
    const settings = { DELIVERY_RETRY_FIRST_MS: '6000' }
    const paths = Array.from({ length: 200 }, (_, index) => `greylist${index}@site${index % 50}.test`)
    const before = [await delivery(settings), await delivery(settings)]
    await send(queueId(1), paths)
    await until(() => of(statuses, 'deferred').length === paths.length)
    await Promise.all(before.map((replica) => replica.stop()))
    await Promise.all([delivery(settings), delivery(settings), delivery(settings)])
    await until(() => of(statuses, 'relayed').length === paths.length)
    assert.equal(sink.messages.flatMap(({ recipients }) => recipients).length, paths.length)
    const due = new Map(
      statuses.flatMap((status) => (status.kind === 'deferred' ? [[status.n, status.nextAttemptAt] as const] : [])),
    )
    for (const status of statuses) {
      if (status.kind === 'relayed') assert.ok(status.at >= (due.get(status.n) ?? ''), `${status.at} is early`)
    }
  },
)
