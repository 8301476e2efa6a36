/** Declarations made into metrics of a registry, with the types of their labels kept. */
import { Counter, Gauge, type GaugeConfiguration, Histogram, type OpenMetricsContentType, Registry } from 'prom-client'

import type { Declaration, Label, Labels, MetricTable, Seen } from './declare.ts'

/** A service's own. Exemplars are kept by those that speak OpenMetrics. */
export type MetricsRegistry = Registry | Registry<OpenMetricsContentType>

type ValueOf<L extends Label> = L extends readonly (infer Value)[] ? Value : L extends Seen<infer Value> ? Value : never
type ValuesOf<Of extends Labels> = { [Name in keyof Of]: ValueOf<Of[Name]> }
type With<Of extends Labels, Rest extends unknown[]> = keyof Of extends never ? Rest : [labels: ValuesOf<Of>, ...Rest]

export interface CounterOf<Of extends Labels = Record<never, never>> {
  inc(...args: With<Of, [by?: number]>): void
}

export interface GaugeOf<Of extends Labels = Record<never, never>> {
  set(...args: With<Of, [value: number]>): void
  inc(...args: With<Of, [by?: number]>): void
  dec(...args: With<Of, [by?: number]>): void
  /** Forgets every series. */
  reset(): void
  /** Called when somebody looks, to set it. What fails or takes longer than READ_MS leaves no value: better none than an old one. */
  whenRead(read: () => void | Promise<void>): void
}

export interface HistogramOf<Of extends Labels = Record<never, never>> {
  observe(...args: With<Of, [value: number]>): void
}

export interface TracedHistogram {
  /** @param traceId 32 hexadecimal digits; the latest of each bucket is shown with it */
  observe(value: number, traceId?: string): void
}

type Handle<D> =
  D extends Declaration<'counter', infer Of>
    ? CounterOf<Of>
    : D extends Declaration<'gauge', infer Of>
      ? GaugeOf<Of>
      : D extends { exemplars: true }
        ? TracedHistogram
        : D extends Declaration<'histogram', infer Of>
          ? HistogramOf<Of>
          : never

export type Opened<Table extends MetricTable> = { readonly [Key in keyof Table]: Handle<Table[Key]> }

/** Longer than a slow answer, shorter than the ten seconds a scrape may take. */
const READ_MS = 2_000
/** More series at the start than this are made when they are first seen. */
const MAX_AT_START = 64

export function openMetrics<Table extends MetricTable>(table: Table, registry: MetricsRegistry): Opened<Table> {
  const opened = Object.entries(table).map(([key, declaration]) => [key, open(declaration, registry)])
  return Object.fromEntries(opened) as Opened<Table> // Object.fromEntries forgets which key has which value.
}

function open(declaration: Declaration, registry: MetricsRegistry): unknown {
  const { name, help, labels } = declaration
  const configuration = { name, help, labelNames: Object.keys(labels), registers: [registry] }
  switch (declaration.type) {
    case 'counter': {
      const counter = new Counter(configuration)
      for (const values of atStart(labels)) counter.inc(values, 0)
      return counter
    }
    case 'gauge':
      return new ReadableGauge(configuration)
    case 'histogram': {
      const buckets = [...(declaration.buckets ?? [])]
      const enableExemplars =
        declaration.exemplars === true && registry.contentType === Registry.OPENMETRICS_CONTENT_TYPE
      const histogram = new Histogram({ ...configuration, buckets, enableExemplars })
      if (declaration.exemplars !== true) return histogram
      const traced: TracedHistogram = {
        observe(value, traceId) {
          if (!enableExemplars) histogram.observe(value)
          else histogram.observe({ value, labels: {}, ...(traceId && { exemplarLabels: { trace_id: traceId } }) })
        },
      }
      return traced
    }
  }
}

/** Every combination of the values that are known beforehand; none when a label's are not, or when there are too many. */
function atStart(labels: Labels): Record<string, string>[] {
  let all: Record<string, string>[] = [{}]
  for (const [name, values] of Object.entries(labels)) {
    if (!isList(values)) return []
    all = all.flatMap((combination) => values.map((value) => ({ ...combination, [name]: value })))
    if (all.length > MAX_AT_START) return []
  }
  return Object.keys(labels).length === 0 ? [] : all
}

/** Array.isArray does not narrow a readonly array out of the union. */
const isList = (label: Label): label is readonly string[] => Array.isArray(label)

class ReadableGauge extends Gauge {
  readonly #bare: boolean
  /** prom-client calls it before it reads the values. */
  collect: (() => Promise<void>) | undefined

  constructor(configuration: GaugeConfiguration<string>) {
    super(configuration)
    this.#bare = configuration.labelNames?.length === 0
  }

  whenRead(read: () => void | Promise<void>): void {
    this.collect = async () => {
      const timer = Promise.withResolvers<never>()
      const timeout = setTimeout(() => timer.reject(new Error(`${READ_MS} ms`)), READ_MS)
      try {
        await Promise.race([read(), timer.promise])
      } catch {
        this.reset()
        // Without labels a reset leaves a 0.
        if (this.#bare) this.remove()
      } finally {
        clearTimeout(timeout)
      }
    }
  }
}
