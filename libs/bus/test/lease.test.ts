import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { jetstreamManager } from '@nats-io/jetstream'
import { connect, nkeyAuthenticator } from '@nats-io/transport-node'
import { startNatsServer } from '@postbus/testkit'

import { connectBus, keepProvisioned } from '../src/index.ts'
import { log, platform, until } from './harness.ts'

test('a lease has one holder at a time, and each later one has a higher revision', async (t) => {
  const { bus } = await platform(t)
  const buses = await Promise.all(Array.from({ length: 4 }, () => bus('custody')))
  let holders = 0
  const revisions: number[] = []
  await Promise.all(
    buses.map(async (one) => {
      const lease = await one.acquireLease('leader', { ttlMs: 10_000, signal: t.signal })
      assert.equal(++holders, 1)
      revisions.push(lease.revision)
      await delay(100)
      assert.equal(lease.lost.aborted, false)
      holders--
      await lease.release()
    }),
  )
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  )
  assert.equal(new Set(revisions).size, 4)
  assert.ok(revisions.every(Number.isSafeInteger))
})

test('a lease is renewed for as long as it is held', async (t) => {
  const { bus } = await platform(t)
  const [holder, other] = await Promise.all([bus('delivery'), bus('delivery')])
  const lease = await holder.acquireLease('lane-07', { ttlMs: 1500, signal: t.signal })
  const waiting = new AbortController()
  const never = other.acquireLease('lane-07', { ttlMs: 1500, signal: waiting.signal })
  await delay(3500)
  assert.equal(lease.lost.aborted, false)
  waiting.abort(new Error('waited long enough'))
  await assert.rejects(never, /waited long enough/)
})

test('a lease whose holder went silent is taken over, and the holder knew before', async (t) => {
  const { nats, bus } = await platform(t)
  const [holder, other] = await Promise.all([bus('custody'), bus('custody')])
  const lease = await holder.acquireLease('leader', { ttlMs: 800, signal: t.signal })
  const lostAt = new Promise<number>((resolve) =>
    lease.lost.addEventListener('abort', () => resolve(performance.now())),
  )
  const taken = other.acquireLease('leader', { ttlMs: 800, signal: t.signal }).then(() => performance.now())
  // The broker says nothing for longer than the lease lives; neither side can renew or look.
  nats.pause()
  await delay(1200)
  assert.equal(lease.lost.aborted, true)
  nats.resume()
  assert.ok((await lostAt) < (await taken))
})

test('a broker that lost its memory: the holder learns it, and the next revision is higher all the same', async (t) => {
  const { nats, bus } = await platform(t)
  const custody = await bus('custody')
  const lease = await custody.acquireLease('leader', { ttlMs: 5000, signal: t.signal })
  await nats.kill()
  await nats.start({ wipe: true })
  await until(() => lease.lost.aborted)
  const next = await custody.acquireLease('leader', { ttlMs: 5000, signal: t.signal })
  assert.ok(next.revision > lease.revision)
})

test('a bucket made anew, in which another holds it under the same number: the holder learns it, and the other keeps it', async (t) => {
  const nats = await startNatsServer(t)
  const { url: servers, seeds } = nats
  const all = { servers, log, signal: t.signal }
  const provisioner = await keepProvisioned({ ...all, nkeySeed: seeds.provisioner, shards: 1 })
  // The one it would make counts from another number; that of a cluster that was down does not.
  await provisioner.stop()
  const custody = () => connectBus({ ...all, nkeySeed: seeds.custody, party: 'custody', drainDeadlineMs: 2000 })
  const [holder, other] = await Promise.all([custody(), custody()])
  nats.defer(() => Promise.all([holder.close(), other.close()]))
  const lease = await holder.acquireLease('leader', { ttlMs: 9000, signal: t.signal })
  const authenticator = nkeyAuthenticator(new TextEncoder().encode(nats.adminSeed))
  const admin = await connect({ servers, authenticator })
  t.after(() => admin.close())
  const { streams } = await jetstreamManager(admin, { checkAPI: false })
  const { config } = await streams.info('KV_lease')
  await streams.delete('KV_lease')
  await streams.add(config)
  const next = await other.acquireLease('leader', { ttlMs: 60_000, signal: t.signal })
  await until(() => lease.lost.aborted)
  assert.match(String(lease.lost.reason), /made anew/)
  assert.ok(next.revision > lease.revision)
  // Its entry was left alone: the lease is free at once, not when its time is over.
  await next.release()
  const last = await holder.acquireLease('leader', { ttlMs: 60_000, signal: AbortSignal.timeout(30_000) })
  assert.ok(last.revision > next.revision)
  await last.release()
})

test('a free lease is left to others for as long as one is patient', async (t) => {
  const { bus } = await platform(t)
  const [wanted, patient] = await Promise.all([bus('delivery'), bus('delivery')])
  const order: string[] = []
  const later = patient
    .acquireLease('lane-07', { ttlMs: 3000, patienceMs: 1500, signal: t.signal })
    .then(() => order.push('patient'))
  const first = await wanted.acquireLease('lane-07', { ttlMs: 3000, signal: t.signal })
  order.push('wanted')
  await first.release()
  await later
  assert.deepEqual(order, ['wanted', 'patient'])
})
