/** docs/metrics.md: every metric of every service, from the tables they are made from. */
import { commonMetrics, type ServiceDefinition } from '@postbus/service'
import type { Declaration, Label, MetricTable } from '@postbus/metrics'

import { loadService, serviceNames } from '../run/services.ts'

/** One metric and the services that have it. */
export interface Documented {
  metric: Declaration
  services: string[]
}

/** Every metric there is, by name: what pages, rules and dashboards may speak of. */
export async function documentedMetrics(): Promise<Map<string, Documented>> {
  const all = new Map<string, Documented>()
  for (const definition of await Promise.all(serviceNames.map(loadService))) {
    for (const metric of metricsOf(definition)) {
      const known = all.get(metric.name)
      if (known === undefined) all.set(metric.name, { metric, services: [definition.name] })
      else known.services.push(definition.name)
    }
  }
  return all
}

export const metricsOf = ({ metrics }: Pick<ServiceDefinition, 'metrics'>): Declaration[] =>
  [...commonMetrics, ...metrics].flatMap((table: MetricTable) => Object.values(table))

export async function metricsPage(): Promise<string> {
  const all = [...(await documentedMetrics()).values()]
  const everywhere = all.filter(({ services }) => services.length === serviceNames.length)
  const shared = all.filter(({ services }) => services.length > 1 && services.length < serviceNames.length)
  const own = serviceNames.map((name) => {
    const mine = all.filter(({ services }) => services.length === 1 && services[0] === name)
    return mine.length === 0 ? '' : `## ${name}\n\n${table(mine, false)}`
  })
  return `# Metrics

Generated from each service's \`metrics.ts\` by \`tools/gen-docs\`; do not edit. Every service shows its own on \`/metrics\` of its health port, in
Prometheus' format or, when asked for by \`Accept\`, as OpenMetrics, with traces as exemplars. Names are the same in every service that has
them; the scrape's \`job\` says which one it is ([monitoring](../deploy/monitoring/README.md)). No label has an address, a domain, a site or an
id for a value.

A histogram has the series \`_bucket\`, \`_sum\` and \`_count\`. Values in *italics* are series that appear when they are first seen; the
others are there from the start, at 0.

## Every service

${table(everywhere, false)}
Besides these, of the process: \`process_*\` and \`nodejs_*\` as [prom-client](https://github.com/siimon/prom-client) names them: CPU, memory, heap,
open files, garbage collection, delay of the event loop. Services that share a process show the same ones; the percentiles of the event
loop's delay are since they were last read.

## Several services

${table(shared, true)}
${own.filter((section) => section !== '').join('\n')}`
}

function table(rows: readonly Documented[], withServices: boolean): string {
  const columns = ['metric', 'type', 'labels', 'meaning', ...(withServices ? ['services'] : [])]
  const lines = rows.map(({ metric: { name, type, labels, help, exemplars }, services }) => [
    `\`${name}\``,
    exemplars === true ? `${type}, exemplars` : type,
    Object.entries(labels)
      .map(([label, values]) => `\`${label}\`: ${valuesOf(values)}`)
      .join('; '),
    help,
    ...(withServices ? [services.join(', ')] : []),
  ])
  return [columns, columns.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

function valuesOf(values: Label): string {
  if ('seen' in values) return `*${values.seen}*`
  return values.length > 12 ? `${values[0]} … ${values.at(-1)}` : values.join(', ')
}
