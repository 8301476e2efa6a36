/** OTLP over HTTP in protobuf, and word of it when the collector does not take what it is given. */
import { readFile } from 'node:fs/promises'

import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import type { SpanExporter } from '@opentelemetry/sdk-trace'

import type { ExportNews } from './open-tracing.ts'

export interface Collector {
  url: string
  headers: Record<string, string>
  /** PEM. */
  certificateFile: string | undefined
  timeoutMs: number
}

const TAKEN = 0

export async function openExporter(collector: Collector, news: ExportNews): Promise<SpanExporter> {
  const { url, headers, certificateFile, timeoutMs } = collector
  const exporter = new OTLPTraceExporter({
    ...{ url, headers, timeoutMillis: timeoutMs },
    ...(certificateFile && { httpAgentOptions: { ca: await readFile(certificateFile) } }),
  })
  let failing = false
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const failed = result.code !== TAKEN
        if (failed && !failing) news.failing(result.error)
        if (!failed && failing) news.recovered()
        failing = failed
        done(result)
      })
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  }
}
