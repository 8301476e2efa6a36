/** Settings of traces, named as OpenTelemetry's specification names them. */
import { z } from 'zod'

export const tracingConfig = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'Collector that gets spans by OTLP over HTTP, e.g. http://127.0.0.1:4318; without it nothing is recorded.',
    ),
  OTEL_EXPORTER_OTLP_HEADERS: z
    .string()
    .optional()
    .meta({ secret: true })
    .describe('What is said to the collector besides, as name=value,name=value with values percent-encoded.'),
  OTEL_EXPORTER_OTLP_CERTIFICATE: z
    .string()
    .optional()
    .describe('PEM file of the authority that signed the certificate of the collector.'),
  OTEL_EXPORTER_OTLP_TIMEOUT: z.coerce
    .number()
    .int()
    .min(100)
    .max(60_000)
    .default(10_000)
    .describe('The collector may take so long for one export (ms); then its spans are dropped.'),
  OTEL_TRACES_SAMPLER: z
    .enum(['parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'])
    .default('parentbased_always_on')
    .describe('Which traces are recorded; what belongs to a trace that is recorded always is.'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('Share of the traces that parentbased_traceidratio records.'),
  OTEL_BSP_MAX_QUEUE_SIZE: z.coerce
    .number()
    .int()
    .min(512)
    .max(1_000_000)
    .default(16_384)
    .describe('Spans kept for the next export; more are dropped. A span takes about a KiB.'),
  OTEL_BSP_SCHEDULE_DELAY: z.coerce
    .number()
    .int()
    .min(10)
    .max(60_000)
    .default(2_000)
    .describe('Spans wait no longer than this for their export (ms).'),
  OTEL_RESOURCE_ATTRIBUTES: z
    .string()
    .optional()
    .describe('What is said of every span of this process, as name=value,name=value with values percent-encoded.'),
} as const

export type TracingConfig = z.infer<z.ZodObject<typeof tracingConfig>>
