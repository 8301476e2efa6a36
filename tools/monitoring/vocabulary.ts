/** The series that exist: those of the services, of the process, of Prometheus itself, and what recording rules make of them. */
import { processMetrics, seriesOf, type Label } from '@postbus/metrics'

import { documentedMetrics } from '../gen-docs/metrics.ts'
import { serviceNames } from '../run/services.ts'
import type { Vocabulary } from './queries.ts'

type LabelValues = ReadonlyMap<string, ReadonlySet<string> | null>

/** Given to every target, see prometheus-embedded.yaml. */
const ofTarget: [string, ReadonlySet<string> | null][] = [
  ['job', new Set<string>(serviceNames)],
  ['instance', null],
]

/** Of metrics/Prometheus itself. */
const ofPrometheus = ['up', 'scrape_duration_seconds']

/** @param recorded names of recording rules, `labels:metric:operations` with the labels parted by `_` */
export async function vocabulary(recorded: readonly string[]): Promise<Vocabulary> {
  const known = new Map<string, LabelValues>()
  for (const { metric } of (await documentedMetrics()).values()) {
    const labels = Object.entries(metric.labels).map(([name, values]) => [name, valuesOf(values)] as const)
    for (const series of seriesOf(metric)) {
      const le = series.endsWith('_bucket') ? ([['le', null]] as const) : []
      known.set(series, new Map([...ofTarget, ...labels, ...le]))
    }
  }
  for (const { name } of processMetrics().getMetricsAsArray()) known.set(name, new Map(ofTarget))
  for (const name of ofPrometheus) known.set(name, new Map(ofTarget))
  for (const name of recorded) {
    const level = name.split(':')[0] ?? ''
    known.set(name, new Map(level === 'slo' ? [] : level.split('_').map((label) => [label, null])))
  }
  return { labelsOf: (series) => known.get(series) }
}

/** A list in words is as good as a list; anything else is not known beforehand. */
function valuesOf(label: Label): ReadonlySet<string> | null {
  if (!('seen' in label)) return new Set(label)
  return /^\w+(, \w+)+$/.test(label.seen) ? new Set(label.seen.split(', ')) : null
}
