/** Settings of every service that takes mail, and intake opened with them: its spool writer, its counters, its end. */
import type { Bus } from '@postbus/bus'
import { bytesSettings } from '@postbus/blobs'
import { defaultLimits, openSpoolWriter, spoolDescription } from '@postbus/spool'
import type { Logger } from 'pino'
import type { MetricsRegistry } from '@postbus/metrics'
import { z } from 'zod'

import { createIntake, intakeDefaults, type Intake } from './intake.ts'
import { intakeMetrics } from './metrics.ts'

const count = z.coerce.number().int().positive()

/** A service spreads these into its own schema. */
export const intakeSettings = {
  SPOOL: z.string().min(1).default('spool').describe(spoolDescription),
  ...bytesSettings,
  SPOOL_WRITER: z
    .string()
    .min(1)
    .optional()
    .describe("Name of this writer in a directory's spool; another one for every replica. Without it, the service's."),
  SPOOL_MAX_BYTES: count
    .optional()
    .describe(
      'What the spool of a directory may hold in all (octets); beyond, mail is refused with 452. Without it, what the disk has.',
    ),
  SPOOL_MIN_FREE_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(defaultLimits.minFreeBytes)
    .describe('What must stay free on the disk of the spool of a directory (octets).'),
  INTAKE_MAX_HEADER_BYTES: count
    .min(1000)
    .default(intakeDefaults.maxHeaderBytes)
    .describe('Longest header of a message (octets); a longer one is refused.'),
  // RFC 5321 §6.3: 100 at least.
  INTAKE_MAX_HOPS: count
    .min(100)
    .default(intakeDefaults.maxHops)
    .describe('A message with more Received fields goes round in a loop.'),
}

export type IntakeSettings = z.infer<z.ZodObject<typeof intakeSettings>> & { MAIL_HOSTNAME: string }

export interface IntakeService {
  /** The service's: it names the writer. */
  name: string
  config: IntakeSettings
  bus: Bus
  log: Logger
  metrics: MetricsRegistry
  defer(close: () => Promise<void> | void): void
}

export async function openIntake({ name, config, bus, log, metrics, defer }: IntakeService): Promise<Intake> {
  const { flushed, watch } = intakeMetrics(metrics)
  const spool = await openSpoolWriter(config.SPOOL, {
    settings: config,
    writerName: config.SPOOL_WRITER ?? name,
    maxBytes: config.SPOOL_MAX_BYTES ?? Infinity,
    minFreeBytes: config.SPOOL_MIN_FREE_BYTES,
    onFlush: flushed,
  })
  defer(() => spool.close())
  const intake = createIntake({
    bus,
    spool,
    hostname: config.MAIL_HOSTNAME,
    log,
    maxHeaderBytes: config.INTAKE_MAX_HEADER_BYTES,
    maxHops: config.INTAKE_MAX_HOPS,
  })
  watch(() => intake.gate() !== null)
  defer(() => intake.drain())
  return intake
}
