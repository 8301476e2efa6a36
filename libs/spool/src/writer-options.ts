/** What a writer can be told, and what it does untold. */
import type { Disk } from './disk.ts'

const KiB = 1024
const MiB = 1024 * KiB
const MINUTE_MS = 60_000

export interface SpoolWriterLimits {
  /** Messages up to this are held in memory and share a flush; larger ones get files of their own. At most 512 KiB. */
  holdMaxBytes: number
  /** What all messages together may hold in memory. Beyond it the next ones get files of their own, whatever their size. */
  heldMaxBytes: number
  /** Records, and octets, in one flush. */
  flushMaxRecords: number
  flushMaxBytes: number
  /** Records waiting for a flush; more are refused with SpoolFull. */
  maxWaiting: number
  /** Files of their own written at once; more are refused with SpoolFull. */
  maxFiles: number
  /** A segment is ended at this size, and at this age (at most 15 minutes). */
  segmentMaxBytes: number
  segmentMaxAgeMs: number
  /** What the spool may hold in all, of all its writers. */
  maxBytes: number
  /** What must stay free on the disk. */
  minFreeBytes: number
}

export interface LocalWriterOptions extends Partial<SpoolWriterLimits> {
  /** For operators who look at the files: `[a-z0-9.-]`, at most 64 characters. Two writers of one name do not disturb each other. */
  writerName: string
  /** Told of every flush that succeeded. */
  onFlush?: (flush: { records: number; bytes: number; seconds: number }) => void
  now?: () => number
  disk?: Disk
}

export const defaultLimits: SpoolWriterLimits = {
  holdMaxBytes: 256 * KiB,
  heldMaxBytes: 64 * MiB,
  flushMaxRecords: 512,
  flushMaxBytes: 8 * MiB,
  maxWaiting: 4096,
  maxFiles: 256,
  segmentMaxBytes: 64 * MiB,
  segmentMaxAgeMs: 10 * MINUTE_MS,
  maxBytes: Infinity,
  minFreeBytes: 256 * MiB,
}

/** Bounds of the format: the longest record of a segment is 1 MiB, and its ids lie within 20 minutes around its time. */
const HOLD_BOUND = 512 * KiB
const AGE_BOUND_MS = 15 * MINUTE_MS

/** @throws RangeError */
export function writerLimits(options: Partial<SpoolWriterLimits>): SpoolWriterLimits {
  const limits = { ...defaultLimits }
  for (const name of limitNames) limits[name] = options[name] ?? defaultLimits[name]
  if (limits.holdMaxBytes > HOLD_BOUND) throw new RangeError(`holdMaxBytes is at most ${HOLD_BOUND}`)
  if (limits.segmentMaxAgeMs > AGE_BOUND_MS) throw new RangeError(`segmentMaxAgeMs is at most ${AGE_BOUND_MS}`)
  return limits
}

const limitNames = [
  'holdMaxBytes',
  'heldMaxBytes',
  'flushMaxRecords',
  'flushMaxBytes',
  'maxWaiting',
  'maxFiles',
  'segmentMaxBytes',
  'segmentMaxAgeMs',
  'maxBytes',
  'minFreeBytes',
] as const satisfies (keyof SpoolWriterLimits)[]
