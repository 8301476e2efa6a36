import assert from 'node:assert/strict'
import { test } from 'node:test'

import { services } from './options.ts'
import { plan, stopWaves } from './plan.ts'

const one = Object.fromEntries(services.map((name) => [name, 1])) as Record<(typeof services)[number], number>

test('every service has a place, its own health port, and the ports it is known by', () => {
  for (const processes of [false, true]) {
    const { processes: planned, ports } = plan({ basePort: 2000, processes, replicas: one })
    const instances = planned.flatMap((process) => process.instances)
    assert.deepEqual(instances.map(({ service }) => service).toSorted(), [...services].toSorted())
    assert.equal(new Set(instances.map(({ healthPort }) => healthPort)).size, services.length)
    assert.deepEqual([ports.mx, ports.imaps, ports.nats], [2025, 2993, 6222])
    assert.deepEqual(instances.find(({ service }) => service === 'imap')?.listens, { imap: 2143, imaps: 2993 })
  }
})

test('further replicas listen elsewhere, and none is none', () => {
  const { processes } = plan({ basePort: 2000, processes: true, replicas: { ...one, inbound: 2, pop3: 0 } })
  const ports = processes.flatMap(({ instances }) => instances.flatMap(({ listens }) => Object.values(listens)))
  assert.equal(new Set(ports).size, ports.length)
  assert.ok(processes.some(({ name }) => name === 'inbound-2'))
  assert.ok(!processes.some(({ name }) => name === 'pop3'))
})

test('what takes mail in stops before what moves it, what stores it after that, the broker last', () => {
  const alone = stopWaves(plan({ basePort: 2000, processes: true, replicas: one }))
  const waveOf = (name: string): number => alone.findIndex((wave) => wave.includes(name))
  assert.ok(waveOf('inbound') < waveOf('router'))
  assert.ok(waveOf('router') < waveOf('mailstore'))
  assert.ok(waveOf('mailstore') < waveOf('custody'))
  assert.deepEqual(alone.at(-1), ['nats'])
  const shared = stopWaves(plan({ basePort: 2000, processes: false, replicas: one }))
  assert.deepEqual(shared.at(-1), ['nats'])
  assert.equal(shared.flat().length, 4)
})
