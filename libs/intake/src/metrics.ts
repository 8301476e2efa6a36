/** How well messages share the flushes that make them durable, and whether new ones are taken. */
import { gauge, histogram, type MetricsRegistry, openMetrics, SECONDS } from '@postbus/metrics'
import type { SpoolWriterOptions } from '@postbus/spool'

export const intakeTable = {
  seconds: histogram('mail_spool_flush_seconds', 'Duration of a flush of the spool.', SECONDS),
  records: histogram(
    'mail_spool_flush_records',
    'Messages made durable by one flush of the spool.',
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  ),
  bytes: histogram(
    'mail_spool_flush_bytes',
    'Octets made durable by one flush of the spool.',
    [1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216],
  ),
  closed: gauge(
    'mail_intake_closed',
    '1 while new messages are answered with 452: no room in the spool, or on the bus.',
  ),
}

export interface IntakeMetrics {
  flushed: NonNullable<SpoolWriterOptions['onFlush']>
  /** Asked whenever somebody reads the metrics. */
  watch(isClosed: () => boolean): void
}

export function intakeMetrics(registry: MetricsRegistry): IntakeMetrics {
  const { seconds, records, bytes, closed } = openMetrics(intakeTable, registry)
  return {
    flushed(flush) {
      seconds.observe(flush.seconds)
      records.observe(flush.records)
      bytes.observe(flush.bytes)
    },
    watch(isClosed) {
      closed.whenRead(() => closed.set(isClosed() ? 1 : 0))
    },
  }
}
