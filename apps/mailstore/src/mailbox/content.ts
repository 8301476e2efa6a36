/** The bytes of a message and what was computed from them once, ready to be stored. */
import { MAX_INLINE_BYTES, type QueueId } from '@postbus/contracts'
import type { SortKeys } from '@postbus/message'

/** Return-Path and Delivered-To with paths of the longest kind — contracts' `ReversePath`. */
const MAX_PREFIX_BYTES = 4 * 1024
/**
 * Contents up to this size are held in the database, larger ones in a blob (with a copy of the header, up to this much of
 * it, in the database). So every message that is held fits into a row with what was put in front of it.
 */
export const MAX_HELD_BYTES = MAX_INLINE_BYTES - MAX_PREFIX_BYTES

export interface StoredContent {
  /** Of the accepted message; null for an appended one. */
  queueId: QueueId | null
  size: number
  headerSize: number
  /** What SORT, THREAD and SENTON go by. */
  sort: SortKeys
  /** IMAP wire forms. */
  envelope: string
  wireStructure: string
  wireBody: string
  /** As libs/message packs it; its offsets count from the content's first octet. */
  structure: string
  header: Uint8Array
  /** What follows the header; null when the bytes are in the blob. */
  body: Uint8Array | null
  blob: { key: string; offset: number } | null
}
