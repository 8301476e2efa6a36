/**
 * Metrics as text, in the form the reader's Accept header asks for: OpenMetrics, which has exemplars, or Prometheus' older format.
 *
 * STANDARDS  OpenMetrics 1.0 (text format), RFC 9110 §12.5.1 (Accept)
 */
import { collectDefaultMetrics, type OpenMetricsContentType, Registry } from 'prom-client'

import type { MetricsRegistry } from './open.ts'

export interface Exposition {
  contentType: string
  text: string
}

/** One that keeps exemplars. */
export function openMetricsRegistry(): Registry<OpenMetricsContentType> {
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  return registry
}

let ofProcess: Registry<OpenMetricsContentType> | undefined

/** Memory, event loop, garbage collection: of the process, so measured once however many services share it. */
export function processMetrics(): Registry<OpenMetricsContentType> {
  if (!ofProcess) {
    ofProcess = openMetricsRegistry()
    collectDefaultMetrics({ register: ofProcess as unknown as Registry }) // its type knows one content type only
  }
  return ofProcess
}

/** @param registries that speak OpenMetrics */
export async function exposition(
  registries: readonly MetricsRegistry[],
  accept: string | undefined,
): Promise<Exposition> {
  const pages = await Promise.all(registries.map((registry) => registry.metrics()))
  const text = pages.map((page) => page.replace(/# EOF\n$/, '')).join('')
  return wantsOpenMetrics(accept)
    ? { contentType: Registry.OPENMETRICS_CONTENT_TYPE, text: `${text}# EOF\n` }
    : { contentType: Registry.PROMETHEUS_CONTENT_TYPE, text: plain(text) }
}

/** Named, and not with a weight of nothing: whoever names it at all understands it — RFC 9110 §12.5.1. */
function wantsOpenMetrics(accept = ''): boolean {
  return accept.split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === 'application/openmetrics-text' && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

/** OpenMetrics names a counter's family without `_total`; the older format names it by its series, and has no exemplars. */
function plain(text: string): string {
  const counters = new Set([...text.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name))
  return text
    .split('\n')
    .map((line) => {
      const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+)(.*)$/.exec(line) ?? []
      if (keyword !== undefined) return counters.has(name) ? `# ${keyword} ${name}_total${rest}` : line
      return line.replace(/ # \{[^}]*\} .*$/, '')
    })
    .join('\n')
}
