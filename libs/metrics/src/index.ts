/**
 * @postbus/metrics — what a service counts: declared in tables that can be listed without it, opened on its registry when it
 * starts, shown in the form the reader asks for.
 */
export { Registry } from 'prom-client'
export * from './declare.ts'
export {
  openMetrics,
  type CounterOf,
  type GaugeOf,
  type HistogramOf,
  type MetricsRegistry,
  type Opened,
} from './open.ts'
export { exposition, openMetricsRegistry, processMetrics, type Exposition } from './exposition.ts'
export { SECONDS } from './buckets.ts'
