/** Three real servers as scale-out runs them: what is confirmed stays, whichever of them dies or loses its disk. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { jetstreamManager, type ConsumerInfo, type JetStreamManager, type StreamInfo } from '@nats-io/jetstream'
import { connect, nkeyAuthenticator } from '@nats-io/transport-node'
import { MailAccepted, MailLocal } from '@postbus/contracts'
import type { NatsCluster, NatsMember } from '@postbus/testkit'

import { accepted, clusterPlatform, local, until } from './harness.ts'

const COPIES = 3
/** Elections, and a server that comes back, take their time on a busy machine. */
const SETTLE_MS = 120_000
/** Of one question to the cluster. */
const ANSWER_MS = 10_000
const PUBLISHERS = 16
const STORED = 200
/** What a server that died had handed out comes again after this. */
const ACK_WAIT_MS = 5_000
/** Custody's own. */
const LEASE_MS = 15_000
/** Whether a leader that was killed comes back without its disk. */
const WIPED = process.env['POSTBUS_TEST_LONG'] === '1' ? [false, true, false, true, false] : [true]

async function administrator(t: TestContext, { urls, caFile, adminSeed }: NatsCluster): Promise<JetStreamManager> {
  const nc = await connect({
    servers: [...urls],
    tls: { caFile },
    authenticator: nkeyAuthenticator(new TextEncoder().encode(adminSeed)),
    maxReconnectAttempts: -1,
  })
  t.after(() => nc.close())
  return jetstreamManager(nc, { checkAPI: false, timeout: ANSWER_MS })
}

/** Every stream has all its copies, and none is behind. */
async function wholeAgain(jsm: JetStreamManager): Promise<void> {
  await until(async () => {
    try {
      const streams = await jsm.streams.list().next()
      const consumers = await Promise.all(streams.map(({ config }) => jsm.consumers.list(config.name).next()))
      return streams.length > 0 && [...streams, ...consumers.flat()].every(isWhole)
    } catch {
      return false // Nobody leads just now.
    }
  }, SETTLE_MS)
}

function isWhole({ cluster }: StreamInfo | ConsumerInfo): boolean {
  const replicas = cluster?.replicas ?? []
  return (
    Boolean(cluster?.leader) &&
    replicas.length === COPIES - 1 &&
    replicas.every(({ current, offline }) => current && !offline)
  )
}

async function leaderOf(jsm: JetStreamManager, { members }: NatsCluster, stream: string): Promise<NatsMember> {
  const { cluster } = await jsm.streams.info(stream)
  const leader = members.find(({ name }) => name === cluster?.leader)
  assert.ok(leader, `${stream} has no leader`)
  return leader
}

test('a cluster of three: what is confirmed stays, whichever server dies or loses its disk', async (t) => {
  const { cluster, bus } = await clusterPlatform(t, { ackWaitMs: ACK_WAIT_MS })
  const jsm = await administrator(t, cluster)
  await wholeAgain(jsm)
  const [router, ...parties] = await Promise.all([bus('router'), bus('custody'), bus('custody'), bus('custody')])
  const [holder, contender, anybody] = parties
  const numbers = Array.from({ length: STORED }, (_, number) => number)
  await Promise.all(numbers.map((number) => router.publish(MailLocal, local(number))))
  let lease = await holder.acquireLease('leader', { ttlMs: LEASE_MS, signal: t.signal })
  const waiting = new AbortController()
  // It changes hands only where the cluster had no leader for so long that nobody could renew it.
  const taking = contender.acquireLease('leader', { ttlMs: LEASE_MS, signal: waiting.signal }).then(
    (taken) => {
      assert.equal(lease.lost.aborted, true, 'the lease has two holders')
      assert.match(String(lease.lost.reason), /not confirmed in time/)
      assert.ok(taken.revision > lease.revision, `${taken.revision} after ${lease.revision}`)
      lease = taken
    },
    () => {},
  )

  await t.test('streams, their consumers and the buckets have three copies', async () => {
    const streams = await jsm.streams.list().next()
    for (const { config } of streams) assert.equal(config.num_replicas, COPIES, config.name)
    assert.ok(streams.some(({ config }) => config.name === 'KV_lease'))
    const { cluster: copies } = await jsm.consumers.info('MAIL_ACCEPTED', 'router')
    assert.equal(copies?.replicas?.length, COPIES - 1)
  })

  await t.test('a client that cannot verify the server does not log in', async () => {
    await assert.rejects(connect({ servers: [...cluster.urls], reconnect: false }), /certificate/i)
  })

  await t.test('the leader dies amid publications: all are stored, each once, and each is handled', async () => {
    const submission = await bus('submission')
    const handled = new Set<string>()
    const consuming = await router.consume(MailAccepted, 'router', { maxInFlight: 64 }, async ({ queueId }) => {
      handled.add(queueId)
      return { kind: 'done' }
    })
    const first = (await jsm.streams.info('MAIL_ACCEPTED')).state.last_seq
    let next = 0
    let over = false
    const publishing = Promise.all(
      Array.from({ length: PUBLISHERS }, async () => {
        while (!over) await submission.publish(MailAccepted, accepted(next++))
      }),
    )
    for (const wipe of WIPED) {
      const before = next
      await until(() => next > before + 200, SETTLE_MS)
      const leader = await leaderOf(jsm, cluster, 'MAIL_ACCEPTED')
      await leader.kill()
      const during = next
      await until(() => next > during + 200, SETTLE_MS)
      await leader.start({ wipe })
      await wholeAgain(jsm)
    }
    over = true
    await publishing
    await until(() => handled.size === next, SETTLE_MS)
    await until(async () => {
      const info = await jsm.streams.info('MAIL_ACCEPTED').catch(() => null) // Nobody leads just now.
      return info?.state.messages === 0
    }, SETTLE_MS)
    assert.equal((await jsm.streams.info('MAIL_ACCEPTED')).state.last_seq - first, next)
    await consuming.stop()
  })

  await t.test('another dies: what came back to the empty disk is all that was stored', async () => {
    const { cluster: copies } = await jsm.streams.info('MAIL_LOCAL')
    const other = cluster.members.find(({ name }) => name === copies?.leader)
    assert.ok(other)
    await other.kill()
    const mailstore = await bus('mailstore')
    const taken = new Set<string>()
    const consuming = await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 64 }, async ({ queueId }) => {
      taken.add(queueId)
      return { kind: 'done' }
    })
    await until(() => taken.size === STORED, SETTLE_MS)
    await consuming.stop()
    await other.start()
  })

  await t.test(
    'the lease had one holder all the while; a cluster that was down as a whole gives a higher one',
    async () => {
      waiting.abort()
      await taking
      await Promise.all(cluster.members.map((member) => member.kill()))
      await Promise.all(cluster.members.map((member) => member.start()))
      const next = await anybody.acquireLease('leader', { ttlMs: 2000, signal: t.signal })
      // At the latest when its time is over, where nobody could say who has it.
      await until(() => lease.lost.aborted, 2 * LEASE_MS)
      assert.ok(next.revision > lease.revision, `${next.revision} after ${lease.revision}`)
    },
  )
})
