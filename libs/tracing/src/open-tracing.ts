/**
 * The way of spans to the collector. OpenTelemetry's SDK is loaded only where there is one.
 *
 * A collector that is slow or gone costs spans and nothing else: what waits is bounded, and a stop does not wait for it long.
 */
import type { Tracer } from '@opentelemetry/api'

import type { TracingConfig } from './settings.ts'

export interface Tracing {
  /** Null: nothing is recorded. */
  readonly tracer: Tracer | null
  /** Sends what waits, as far as the collector takes it in time. */
  close(): Promise<void>
}

export interface TracingIdentity {
  /** service.name is `postbus-<service>`. */
  service: string
  /** service.instance.id */
  instance: string
  version: string
}

export interface ExportNews {
  /** Told at the first export that failed, and at the next that failed after one that did not. */
  failing(err: unknown): void
  recovered(): void
}

/** Spans of one export. */
const MAX_EXPORT = 512
/** At a stop: it is part of the drain deadline. */
const CLOSE_MS = 2_000

export const noTracing: Tracing = { tracer: null, close: async () => {} }

export async function openTracing(
  config: TracingConfig,
  { service, instance, version }: TracingIdentity,
  news: ExportNews,
): Promise<Tracing> {
  const endpoint = config.OTEL_EXPORTER_OTLP_ENDPOINT
  if (endpoint === undefined) return noTracing
  const { BatchSpanProcessor, TracerProvider } = await import('@opentelemetry/sdk-trace')
  const { resourceFromAttributes } = await import('@opentelemetry/resources')
  const { openExporter } = await import('./exporter.ts')
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      ...pairs(config.OTEL_RESOURCE_ATTRIBUTES),
      'service.name': `postbus-${service}`,
      'service.namespace': 'postbus',
      'service.instance.id': instance,
      'service.version': version,
    }),
    sampler: await samplerOf(config),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: await openExporter(
          {
            // OTLP specification, "Endpoint URLs for OTLP/HTTP": the signal's path is appended.
            url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
            headers: pairs(config.OTEL_EXPORTER_OTLP_HEADERS),
            certificateFile: config.OTEL_EXPORTER_OTLP_CERTIFICATE,
            timeoutMs: config.OTEL_EXPORTER_OTLP_TIMEOUT,
          },
          news,
        ),
        maxQueueSize: config.OTEL_BSP_MAX_QUEUE_SIZE,
        maxExportBatchSize: MAX_EXPORT,
        scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
        exportTimeoutMillis: config.OTEL_EXPORTER_OTLP_TIMEOUT,
      }),
    ],
  })
  return {
    tracer: provider.getTracer('postbus', version),
    async close() {
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, CLOSE_MS)
      await Promise.race([provider.shutdown().catch(() => {}), late])
      clearTimeout(timer)
    },
  }
}

async function samplerOf({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratio }: TracingConfig) {
  const { AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, TraceIdRatioBasedSampler } =
    await import('@opentelemetry/sdk-trace')
  switch (sampler) {
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() })
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() })
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) })
  }
}

/** `name=value,name=value`, values percent-encoded; what is no pair is left out. */
function pairs(text = ''): Record<string, string> {
  const found = text.split(',').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=')
    return at > 0 ? [[pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())]] : []
  })
  return Object.fromEntries(found)
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
