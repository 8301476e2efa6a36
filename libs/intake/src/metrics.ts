/** How well messages share the flushes that make them durable. */
import type { SpoolWriterOptions } from '@postbus/spool'
import { Histogram, type Registry } from 'prom-client'

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
const RECORDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]

/** @param app the service's name: `mail_<app>_…` */
export function flushMetrics(registry: Registry, app: string): NonNullable<SpoolWriterOptions['onFlush']> {
  const histogram = (name: string, help: string, buckets: number[]): Histogram =>
    new Histogram({ name: `mail_${app}_${name}`, help, buckets, registers: [registry] })
  const seconds = histogram('spool_flush_seconds', 'Duration of a flush of the spool', SECONDS)
  const records = histogram('spool_flush_records', 'Messages made durable by one flush of the spool', RECORDS)
  return (flush) => {
    seconds.observe(flush.seconds)
    records.observe(flush.records)
  }
}
