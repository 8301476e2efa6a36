/**
 * Records of accepted messages: written once before the 250, read by router, delivery and mailstore, freed by custody.
 *
 * A record is the accepted event (JSON, incarnation 0) and the bytes: trace header first, then the message as received.
 * The queue id is the only reference; where the bytes lie is the spool's own business.
 */
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
  accepted: MailAccepted
  /** Octets of trace header and message. */
  size: number
  /** The bytes `[start, end)`; all without a range. Verified against the record's checksum when read whole. */
  read(range?: { start: number; end: number }): AsyncIterable<Uint8Array>
  /** Path of a file that holds exactly the record's bytes from `offset` on, for adopting large ones; null for records inside a segment. */
  file: { path: string; offset: number } | null
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
   * Complete records that were not freed: the oldest segment first, each in the order written, then the records with files of
   * their own, in no order. `accepted` comes without reading the bytes. A record that is copied out meanwhile may come twice.
   */
  list(): AsyncIterable<{ accepted: MailAccepted; writtenAt: Date }>
  /**
   * Durable when it resolves; the space of a segment is given back when all its records are freed, and until then a reader
   * may still find one. Idempotent; ids nobody knows are no error.
   */
  free(queueIds: readonly QueueId[]): Promise<void>
  /** Copies records that wait long out of segments older than this, so that the segments can go. */
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
