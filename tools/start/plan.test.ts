import assert from 'node:assert/strict'
import { test } from 'node:test'

import { replicasOf, services } from './options.ts'
import { endpoints, natsUrl, plan, stopWaves, type Plan, type Planned } from './plan.ts'

const planned = (options: Partial<Planned>): Plan =>
  plan({
    ...{ profile: 'embedded', basePort: 2000, processes: true, replicas: replicasOf(1), postgres: null, bytes: 's3' },
    ...options,
  })

const instancesOf = ({ processes }: Plan) => processes.flatMap(({ instances }) => instances)

const portsOf = (layout: Plan): number[] => [
  ...instancesOf(layout).flatMap(({ healthPort, listens }) => [healthPort, ...Object.values(listens)]),
  ...layout.brokers.flatMap(({ port, routePort, monitoringPort }) => [port, routePort, monitoringPort]),
  ...[layout.postgresPort, layout.s3Port].filter((port) => port !== null),
]

test('every service has a place, its own health port, and the ports it is known by', () => {
  for (const processes of [false, true]) {
    const layout = planned({ processes })
    const instances = instancesOf(layout)
    assert.deepEqual(instances.map(({ service }) => service).toSorted(), [...services].toSorted())
    assert.equal(new Set(instances.map(({ healthPort }) => healthPort)).size, services.length)
    assert.deepEqual([layout.ports.mx, layout.ports.imaps, layout.ports.nats], [2025, 2993, 6222])
    assert.deepEqual(instances.find(({ service }) => service === 'imap')?.listens, { imap: 2143, imaps: 2993 })
  }
})

test('further replicas listen elsewhere, and none is none', () => {
  const layout = planned({ replicas: { ...replicasOf(1), inbound: 2, pop3: 0 } })
  assert.equal(new Set(portsOf(layout)).size, portsOf(layout).length)
  assert.ok(layout.processes.some(({ name }) => name === 'inbound-2'))
  assert.ok(!layout.processes.some(({ name }) => name === 'pop3'))
})

test('all ports of a plan are known before it starts, where settings put them', () => {
  const layout = planned({ profile: 'scale-out', replicas: replicasOf(2) })
  const listened = endpoints(layout, { host: '0.0.0.0', set: {} })
  assert.deepEqual(new Set(listened.map(({ port }) => port)), new Set(portsOf(layout)))
  const moved = endpoints(planned({}), { host: '0.0.0.0', set: { INBOUND_PORT: '25', LISTEN_HOST: '::1' } })
  assert.deepEqual(
    moved.find(({ port }) => port === 25),
    { host: '::1', port: 25 },
  )
  assert.ok(!moved.some(({ port }) => port === 2025))
})

test('an instance keeps its ports while other services, or its own, are scaled', () => {
  const before = instancesOf(planned({ replicas: replicasOf(2) }))
  const after = instancesOf(planned({ replicas: { ...replicasOf(2), router: 20, inbound: 20, custody: 0 } }))
  for (const instance of before.filter(({ service }) => service !== 'custody')) {
    assert.deepEqual(
      after.find(({ name }) => name === instance.name),
      instance,
    )
  }
})

test('scale-out: three brokers, a database, an S3 server, two of everything, and no port twice', () => {
  for (const processes of [false, true]) {
    const layout = planned({ profile: 'scale-out', replicas: replicasOf(20), processes })
    assert.deepEqual(
      layout.brokers.map(({ name }) => name),
      ['nats', 'nats-2', 'nats-3'],
    )
    assert.equal(new Set(portsOf(layout)).size, portsOf(layout).length)
    assert.equal(natsUrl(layout), 'tls://localhost:6222,tls://localhost:6223,tls://localhost:6224')
    const first = layout.processes.find(({ instances }) => instances.some(({ name }) => name === 'imap'))
    assert.ok(first?.instances.every(({ name }) => !name.includes('-')))
  }
  const small = planned({ profile: 'scale-out', postgres: 'postgres://db/mail', bytes: 'postgres' })
  assert.deepEqual([small.postgresPort, small.s3Port], [null, null])
})

test('what takes mail in stops before what moves it, what stores it after that', () => {
  const alone = stopWaves(planned({}))
  const waveOf = (name: string): number => alone.findIndex((wave) => wave.includes(name))
  assert.ok(waveOf('inbound') < waveOf('router'))
  assert.ok(waveOf('router') < waveOf('mailstore'))
  assert.ok(waveOf('mailstore') < waveOf('custody'))
  assert.equal(stopWaves(planned({ processes: false })).flat().length, 4)
})
