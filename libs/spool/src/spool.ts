/**
 * Records of accepted messages: written once before the 250, read by router, delivery and mailstore, freed by custody.
 *
 * A record is the accepted event (JSON, incarnation 0) and the bytes: trace header first, then the message as received.
 * The queue id is the only reference; where the bytes lie is the spool's own business.
 */
import type { BytesPlace } from '@postbus/blobs'
import type { MailAccepted, QueueId } from '@postbus/contracts'

/** Intake: one per process, with segments of its own. */
export interface SpoolWriter {
  /**
   * Resolves when the record is durable: never before its flush.
   * @param describe makes the envelope once the size is known. Called at most once.
   * @throws SpoolFull no space, or too much waiting; nothing is kept
   * @throws whatever `body` throws; nothing is kept
   */
  put(
    queueId: QueueId,
    body: AsyncIterable<Uint8Array>,
    describe: (size: number) => MailAccepted,
  ): Promise<MailAccepted>
  /**
   * Durable under an id that may have been used by an earlier run of the same work: then nothing is written, and the earlier
   * record's event is the answer. For reports. Throws as `put` does.
   */
  putIfAbsent(
    queueId: QueueId,
    body: AsyncIterable<Uint8Array>,
    describe: (size: number) => MailAccepted,
  ): Promise<MailAccepted>
  /** Whether a put now could succeed; the edge asks at MAIL. */
  hasRoom(): boolean
  close(): Promise<void>
}

export interface SpoolRecord {
  /** @throws CorruptRecord when the envelope is damaged */
  readonly accepted: MailAccepted
  /** Octets of trace header and message. */
  size: number
  /** The bytes `[start, end)`; all without a range. Verified against the record's checksum when read whole. */
  read(range?: { start: number; end: number }): AsyncIterable<Uint8Array>
  /** Where the record's bytes are all there is from `offset` on, so that a store of blobs can take large ones over; null where it is not worth it. */
  place: { bytes: BytesPlace; offset: number } | null
  close(): Promise<void>
}

export interface SpoolReader {
  /** @throws NoSuchRecord @throws CorruptRecord */
  open(queueId: QueueId): Promise<SpoolRecord>
  close(): Promise<void>
}

/** Custody only. */
export interface SpoolKeeper {
  /**
   * Complete records that were not freed: small ones about in the order written, large ones and reports in no order. `accepted` comes without reading the bytes. A record that is copied out meanwhile may come twice.
   */
  list(): AsyncIterable<{ accepted: MailAccepted; writtenAt: Date }>
  /**
   * Durable when it resolves. Where records share a file, its space is given back when all of them are freed, and until then a
   * reader may still find one. Idempotent; ids nobody knows are no error.
   */
  free(queueIds: readonly QueueId[]): Promise<void>
  /** Copies records that wait long out of files they share, older than this, so that those can go. */
  compact(olderThan: Date): Promise<{ copied: number; segmentsRemoved: number }>
  /** Removes unfinished records no writer is working on any more. */
  sweep(olderThan: Date): Promise<number>
  close(): Promise<void>
}

export class NoSuchRecord extends Error {
  override readonly name = 'NoSuchRecord'
}

/** The bytes are not what was written. Never answered with a guess. */
export class CorruptRecord extends Error {
  override readonly name = 'CorruptRecord'
  readonly queueId: QueueId

  constructor(queueId: QueueId, message: string, options?: ErrorOptions) {
    super(message, options)
    this.queueId = queueId
  }
}

export class SpoolFull extends Error {
  override readonly name = 'SpoolFull'
}
