import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  counter,
  exposition,
  gauge,
  histogram,
  openMetrics,
  openMetricsRegistry,
  Registry,
  seen,
  tracedHistogram,
} from './index.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const OPEN = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'

const linesOf = async (registry: Registry | ReturnType<typeof openMetricsRegistry>, accept?: string) =>
  (await exposition([registry], accept)).text.split('\n')

test('series whose labels are known are there before the first event, at 0; others when they are seen', async () => {
  const registry = openMetricsRegistry()
  const table = {
    known: counter('mail_known_total', 'Known.', { outcome: ['good', 'bad'], lane: ['00', '01'] }),
    other: counter('mail_other_total', 'Other.', { outcome: ['good', 'bad'], code: seen('three digits') }),
  }
  const { other } = openMetrics(table, registry)
  const before = await linesOf(registry)
  assert.equal(before.filter((line) => line.startsWith('mail_known_total{')).length, 4)
  assert.deepEqual(
    before.filter((line) => line.startsWith('mail_other_total{')),
    [],
  )
  other.inc({ outcome: 'bad', code: '550' }, 2)
  assert.ok((await linesOf(registry)).includes('mail_other_total{outcome="bad",code="550"} 2'))
})

test('a histogram shows the trace of an observation to who reads OpenMetrics, and to nobody else', async () => {
  const registry = openMetricsRegistry()
  const { seconds } = openMetrics({ seconds: tracedHistogram('mail_test_seconds', 'Time.', [1, 5]) }, registry)
  seconds.observe(2, TRACE)
  seconds.observe(0.5)
  const open = await linesOf(registry, OPEN)
  assert.ok(open.some((line) => line.startsWith(`mail_test_seconds_bucket{le="5"} 2 # {trace_id="${TRACE}"} 2 `)))
  assert.equal(open.at(-2), '# EOF')
  const plain = await linesOf(registry, 'text/plain')
  assert.ok(plain.includes('mail_test_seconds_bucket{le="5"} 2'))
  assert.ok(plain.every((line) => !line.includes('EOF') && !line.includes(TRACE)))
})

test('a registry of the older format counts the same, without traces', async () => {
  const registry = new Registry()
  const { seconds } = openMetrics({ seconds: tracedHistogram('mail_test_seconds', 'Time.', [1]) }, registry)
  seconds.observe(0.5, TRACE)
  assert.ok((await linesOf(registry)).includes('mail_test_seconds_count 1'))
})

test('each form names counters as its readers expect them, in any order of asking', async () => {
  const registry = openMetricsRegistry()
  const { all } = openMetrics({ all: counter('mail_test_total', 'All.') }, registry)
  all.inc()
  for (let round = 0; round < 2; round++) {
    const plain = await linesOf(registry, 'text/plain')
    assert.ok(plain.includes('# TYPE mail_test_total counter') && plain.includes('# HELP mail_test_total All.'))
    const open = await linesOf(registry, OPEN)
    assert.ok(open.includes('# TYPE mail_test counter') && open.includes('mail_test_total 1'))
  }
})

test('OpenMetrics goes to who names it and accepts it', async () => {
  const type = async (accept?: string) => (await exposition([openMetricsRegistry()], accept)).contentType
  assert.match(await type(OPEN), /^application\/openmetrics-text; version=1\.0\.0/)
  for (const accept of [undefined, '*/*', 'text/plain', 'application/openmetrics-text;q=0, text/plain']) {
    assert.match(await type(accept), /^text\/plain; version=0\.0\.4/)
  }
})

test('a gauge is read when somebody looks, and a reading that fails leaves no value', async () => {
  const registry = openMetricsRegistry()
  const table = { one: gauge('mail_one', 'One.'), each: gauge('mail_each', 'Each.', { of: ['a', 'b'] }) }
  const { one, each } = openMetrics(table, registry)
  let works = true
  const read = (set: () => void) => async () => {
    if (!works) throw new Error('down')
    set()
  }
  one.whenRead(read(() => one.set(7)))
  each.whenRead(read(() => each.set({ of: 'a' }, 8)))
  const values = async () => (await linesOf(registry)).filter((line) => /^mail_/.test(line))
  assert.deepEqual(await values(), ['mail_one 7', 'mail_each{of="a"} 8'])
  works = false
  assert.deepEqual(await values(), [])
})

test('a value that is not documented is refused by the compiler', () => {
  const metrics = openMetrics(
    { all: counter('mail_test_total', 'All.', { outcome: ['good'] }), took: histogram('mail_s', 'Took.', [1]) },
    new Registry(),
  )
  // @ts-expect-error bad is not in the table
  metrics.all.inc({ outcome: 'bad' })
  // @ts-expect-error the label is missing
  assert.doesNotThrow(() => metrics.all.inc())
  // @ts-expect-error it has no labels
  assert.throws(() => metrics.took.observe({ outcome: 'good' }, 1))
})
