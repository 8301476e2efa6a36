import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { fakeClock } from '../../test/fake-clock.ts'
import { type LanePorts, ownLanes } from './own-lanes.ts'
import { Replicas } from './replicas.ts'

const lanes = Array.from({ length: 8 }, (_, lane) => `0${lane}`)
const options = { settleMs: 500, graceMs: 10_000, steadyMs: 3000, handOverMs: 10_000 }

/** Replicas over leases as the bus keeps them: one holder each, looked at every second. */
function cluster(t: TestContext) {
  const clock = fakeClock()
  const holders = new Map<string, { replica: string; lost: AbortController }>()
  const freeSince = new Map<string, number>()
  const all = new Map<string, Replicas>()
  const over = new AbortController()
  t.after(() => over.abort())

  async function acquire(
    replica: string,
    lane: string,
    { patienceMs, signal }: { patienceMs: number; signal: AbortSignal },
  ) {
    for (;;) {
      signal.throwIfAborted()
      if (!holders.has(lane) && clock.now() - (freeSince.get(lane) ?? 0) >= patienceMs) break
      await clock.sleep(1000)
    }
    const mine = { replica, lost: new AbortController() }
    holders.set(lane, mine)
    return {
      lost: mine.lost.signal,
      async release() {
        if (holders.get(lane) !== mine) return
        holders.delete(lane)
        freeSince.set(lane, clock.now())
      },
    }
  }

  return {
    ...{ clock, holders },
    owned: (replica: string) =>
      [...holders]
        .filter(([, holder]) => holder.replica === replica)
        .map(([lane]) => lane)
        .sort(),
    /** @param busyMs how long what is being attempted takes; a stuck one never gets what it is to own */
    start(replica: string, { busyMs = 0, stuck = false } = {}) {
      const replicas = new Replicas({ own: replica, lanes, aliveMs: 6000, clock })
      for (const [name, other] of all) {
        other.heard({ replica, leaving: false })
        replicas.heard({ replica: name, leaving: false })
      }
      all.set(replica, replicas)
      const stopping = new AbortController()
      const drained: string[] = []
      const stopped: string[] = []
      const ports: LanePorts = {
        acquire: (lane, asked) => (stuck ? new Promise(() => {}) : acquire(replica, lane, asked)),
        work: async (lane) => ({
          async drain() {
            drained.push(lane)
            await clock.sleep(busyMs)
          },
          async stop() {
            stopped.push(lane)
          },
        }),
        isOurs: (lane) => replicas.isOurs(lane),
        get changed() {
          return replicas.changed
        },
        failed: (_, cause) => assert.fail(String(cause)),
        owned: () => {},
        clock,
      }
      void ownLanes(lanes, ports, options, AbortSignal.any([stopping.signal, over.signal]))
      return {
        ...{ drained, stopped, replicas },
        stop() {
          all.delete(replica)
          for (const other of all.values()) other.heard({ replica, leaving: true })
          stopping.abort()
        },
      }
    },
  }
}

test('replicas that come and go share the lanes within seconds', async (t) => {
  const { clock, start, owned } = cluster(t)
  const a = start('a')
  await clock.pass(2000)
  assert.equal(owned('a').length, 8)
  start('b')
  await clock.pass(6000)
  assert.deepEqual([owned('a').length, owned('b').length], [4, 4])
  start('c')
  await clock.pass(6000)
  assert.deepEqual([...owned('a'), ...owned('b'), ...owned('c')].sort(), lanes)
  assert.ok(owned('c').length >= 2)
  a.stop()
  await clock.pass(2000)
  assert.deepEqual([owned('a').length, owned('b').length, owned('c').length], [0, 4, 4])
})

test('a lane moves only when what was being attempted is done, or has taken too long', async (t) => {
  const { clock, start, owned } = cluster(t)
  const a = start('a', { busyMs: 5000 })
  await clock.pass(2000)
  start('b')
  await clock.pass(4000)
  assert.deepEqual([owned('a').length, owned('b').length, a.drained.length], [8, 0, 4])
  await clock.pass(5000)
  assert.deepEqual([owned('a').length, owned('b').length, a.stopped.length], [4, 4, 0])
  const other = cluster(t)
  other.start('a', { busyMs: 3_600_000 })
  await other.clock.pass(2000)
  other.start('b')
  await other.clock.pass(15_000)
  assert.deepEqual([other.owned('a').length, other.owned('b').length], [4, 4])
})

test('what a replica that is alive does not take is taken by another after a while, and kept', async (t) => {
  const { clock, start, owned } = cluster(t)
  start('stuck', { stuck: true })
  start('b')
  await clock.pass(8000)
  assert.equal(owned('b').length, 4)
  await clock.pass(4000)
  assert.equal(owned('b').length, 8)
  await clock.pass(30_000)
  assert.equal(owned('b').length, 8)
})

test('a replica that comes and goes at once moves nothing', async (t) => {
  const { clock, start, owned } = cluster(t)
  const a = start('a')
  await clock.pass(2000)
  const b = start('b')
  await clock.pass(2000)
  b.stop()
  await clock.pass(10_000)
  assert.deepEqual([owned('a').length, a.drained.length], [8, 0])
})

test('a lane whose lease is lost is given up at once and taken again', async (t) => {
  const { clock, start, owned, holders } = cluster(t)
  const a = start('a', { busyMs: 3_600_000 })
  await clock.pass(2000)
  const held = holders.get('03')
  holders.delete('03')
  held?.lost.abort()
  await clock.pass(100)
  assert.deepEqual(a.drained, ['03'])
  await clock.pass(2000)
  assert.equal(owned('a').length, 8)
})

test('at the end every lane is free, and what still was being finished is stopped', async (t) => {
  const { clock, start, holders } = cluster(t)
  const a = start('a', { busyMs: 3_600_000 })
  await clock.pass(2000)
  const b = start('b')
  await clock.pass(6000)
  a.stop()
  b.stop()
  await clock.pass(2000)
  assert.equal(holders.size, 0)
  assert.deepEqual([...new Set(a.stopped)].sort(), lanes)
})
