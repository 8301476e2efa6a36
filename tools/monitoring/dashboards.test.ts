/** Every query of every dashboard is one Prometheus can read, about metrics and labels that exist; and every metric is on one. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { seriesOf } from '@postbus/metrics'
import { parse } from 'yaml'

import { documentedMetrics } from '../gen-docs/metrics.ts'
import { dashboards } from './dashboards.ts'
import { dashboardFile, RATE_INTERVAL } from './grafana.ts'
import { problemsOf, seriesIn } from './queries.ts'
import { vocabulary } from './vocabulary.ts'

const folder = join(import.meta.dirname, '..', '..', 'deploy', 'monitoring')

/** Metrics that no dashboard shows, and why. */
const NOT_SHOWN: Readonly<Record<string, string>> = {
  mail_bus_connected: 'an alert tells of it',
  mail_bus_pauses_total: 'an alert tells of it',
  mail_bus_reconnects_total: 'the log tells of it',
  mail_custody_scan_seconds: 'for whoever tunes CUSTODY_SCAN_MS',
  mail_delivery_replicas: 'the copies that answer are on the first dashboard',
  mail_directory_throttle_entries: 'for whoever tunes DIRECTORY_FAILURES_ENTRIES',
  mail_mailstore_purged_rows_total: 'housekeeping that nobody waits for',
}

const queries = dashboards.flatMap(({ uid, rows }) =>
  rows.flatMap(({ panels }) =>
    panels.flatMap(({ title, queries: own }) =>
      own.map(({ expr }) => ({ where: `${uid}, ${title}`, expr: expr.replaceAll(RATE_INTERVAL, '5m') })),
    ),
  ),
)

/** Names of what the recording rules make. */
async function recorded(): Promise<string[]> {
  const files = (await readdir(join(folder, 'rules'))).filter((name) => name.endsWith('.yaml'))
  const texts = await Promise.all(files.map((name) => readFile(join(folder, 'rules', name), 'utf8')))
  return texts.flatMap((text) => {
    const { groups } = parse(text) as { groups: { rules: { record?: string }[] }[] } // rules.test.ts checks the shape.
    return groups.flatMap(({ rules }) => rules.flatMap(({ record }) => record ?? []))
  })
}

test('every query speaks of metrics, labels and values that exist', async () => {
  const words = await vocabulary(await recorded())
  assert.deepEqual(
    queries.flatMap(({ where, expr }) => problemsOf(expr, words).map((problem) => `${where}: ${problem}`)),
    [],
  )
  assert.ok(queries.length > 100)
})

test('every metric is on a dashboard, but those that say why not', async () => {
  const shown = new Set(queries.flatMap(({ expr }) => seriesIn(expr)))
  // By way of the recording rules that read it.
  for (const name of await recorded()) if (shown.has(name)) shown.add(name.split(':')[1] ?? '')
  const missing = [...(await documentedMetrics()).values()]
    .map(({ metric }) => metric)
    .filter((metric) => !shown.has(metric.name) && !seriesOf(metric).some((series) => shown.has(series)))
    .map(({ name }) => name)
  assert.deepEqual(missing.toSorted(), Object.keys(NOT_SHOWN).toSorted())
})

test('panels have addresses, titles and places of their own', () => {
  for (const dashboard of dashboards) {
    const { panels } = JSON.parse(dashboardFile(dashboard)) as {
      panels: { id: number; gridPos: { x: number; y: number; w: number } }[]
    }
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
    assert.equal(new Set(panels.map(({ gridPos }) => `${gridPos.x} ${gridPos.y}`)).size, panels.length)
    assert.ok(panels.every(({ gridPos }) => gridPos.x + gridPos.w <= 24))
  }
  assert.equal(new Set(dashboards.map(({ uid }) => uid)).size, dashboards.length)
})
