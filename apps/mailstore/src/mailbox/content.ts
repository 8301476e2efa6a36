/** The bytes of a message and what was computed from them once, ready to be stored. */
import type { QueueId } from '@postbus/contracts'

/**
 * Contents up to this size are held in the database, larger ones in a blob (with a copy of the header, up to this much of
 * it, in the database). Below MAX_INLINE_BYTES by what is put in front at delivery, so that every held message fits a row.
 */
export const MAX_HELD_BYTES = 60 * 1024
/** Return-Path and Delivered-To with paths of the longest kind — contracts' `ReversePath`. */
export const MAX_PREFIX_BYTES = 4 * 1024

export interface StoredContent {
  /** Of the accepted message; null for an appended one. */
  queueId: QueueId | null
  size: number
  headerSize: number
  /** The day of the Date field as written; null without a usable one. */
  sentDay: string | null
  /** IMAP wire forms. */
  envelope: string
  wireStructure: string
  wireBody: string
  /** JSON of libs/message's structure; its offsets count from the content's first octet. */
  structure: string
  header: Uint8Array
  /** What follows the header; null when the bytes are in the blob. */
  body: Uint8Array | null
  blob: { key: string; offset: number } | null
}
