import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fakeClock } from '../../test/fake-clock.ts'
import { balance } from './balance.ts'
import { Replicas } from './replicas.ts'

const lanes = Array.from({ length: 32 }, (_, lane) => String(lane).padStart(2, '0'))

test('lanes are shared out evenly, and the same by all', () => {
  for (const count of [1, 2, 3, 5, 31, 40]) {
    const replicas = Array.from({ length: count }, (_, index) => `replica-${index}`)
    const owners = balance(lanes, replicas)
    assert.equal(owners.size, 32)
    const loads = Map.groupBy(owners.values(), (owner) => owner)
    assert.ok([...loads.values()].every((owned) => owned.length <= Math.ceil(32 / count)))
    assert.deepEqual([...balance(lanes, replicas.toReversed())], [...owners])
  }
})

test('when a replica comes or goes most lanes stay where they are', () => {
  const before = balance(lanes, ['a', 'b', 'c'])
  const after = balance(lanes, ['a', 'b', 'c', 'd'])
  const moved = lanes.filter((lane) => before.get(lane) !== after.get(lane))
  assert.ok(moved.length <= 16, String(moved.length))
})

function one(own: string) {
  const clock = fakeClock()
  return { clock, replicas: new Replicas({ own, lanes, aliveMs: 6000, clock }) }
}

test('alone, all lanes are ours; replicas that hear each other agree on who owns what', () => {
  const [a, b] = [one('a').replicas, one('b').replicas]
  assert.ok(lanes.every((lane) => a.isOurs(lane)))
  const { changed } = a
  assert.equal(a.heard({ replica: 'b', leaving: false }), true)
  assert.equal(a.heard({ replica: 'b', leaving: false }), false)
  b.heard({ replica: 'a', leaving: false })
  assert.equal(changed.aborted, true)
  assert.equal(a.changed.aborted, false)
  assert.ok(lanes.every((lane) => a.isOurs(lane) !== b.isOurs(lane)))
  assert.equal(a.live, 2)
})

test('a replica that leaves, or is not heard any more, owns nothing', async () => {
  const { replicas, clock } = one('a')
  replicas.heard({ replica: 'b', leaving: false })
  replicas.heard({ replica: 'c', leaving: false })
  replicas.heard({ replica: 'b', leaving: true })
  assert.equal(replicas.live, 2)
  await clock.pass(6001)
  replicas.forget()
  assert.equal(replicas.live, 1)
  assert.ok(lanes.every((lane) => replicas.isOurs(lane)))
})

test('its own hints, and the last ones of strangers, change nothing', () => {
  const { replicas } = one('a')
  const { changed } = replicas
  replicas.heard({ replica: 'a', leaving: false })
  replicas.heard({ replica: 'a', leaving: true })
  replicas.heard({ replica: 'b', leaving: true })
  assert.deepEqual([replicas.live, changed.aborted], [1, false])
})
