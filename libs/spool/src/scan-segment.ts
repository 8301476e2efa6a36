/**
 * Finds the records of a segment without its index.
 *
 * A half-written record at the end is no record. A damaged one does not hide those behind it: where its header is whole its
 * length leads on, where not the next header is searched for.
 */
import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'

import type { IndexEntry } from './index-entry.ts'
import { readAt } from './kept-file.ts'
import { decodeHeader, HEADER_BYTES, MAGIC, MAX_SEGMENT_RECORD_BYTES, recordLength } from './record.ts'

/** Twice the longest record, so that a window always has one whole. */
const WINDOW_BYTES = 2 * MAX_SEGMENT_RECORD_BYTES

interface Scanned extends IndexEntry {
  /** Whether event and bytes are what was written. */
  intact: boolean
  flush: number
}

/**
 * The records that may have been promised: whole ones, and damaged ones whose flush is known to have succeeded because a later
 * one follows. A damaged record of the last flush is what a crash in that flush leaves.
 */
export async function* promisedRecords(
  file: FileHandle,
  writer: string,
  from: number,
  end: number,
): AsyncGenerator<IndexEntry> {
  let doubtful: Scanned[] = []
  for await (const record of scanSegment(file, writer, from, end)) {
    if (doubtful[0] && doubtful[0].flush !== record.flush) {
      yield* doubtful
      doubtful = []
    }
    if (record.intact) yield record
    else doubtful.push(record)
  }
}

/** The records that begin in `[from, end)` and end in it, damaged or not. */
async function* scanSegment(file: FileHandle, writer: string, from: number, end: number): AsyncGenerator<Scanned> {
  const window = windowOf(file, end)
  for (let at = from; at + HEADER_BYTES <= end;) {
    const bytes = await window(at)
    const header = decodeHeader(bytes)
    const length = header ? recordLength(header) : 0
    if (!header || header.writer !== writer || header.apart || length > MAX_SEGMENT_RECORD_BYTES) {
      at += nextMagic(bytes)
      continue
    }
    // Longer than the file: its writer died here, or the file lost its end. Nothing behind it can be whole.
    if (at + length > end || bytes.length < length) return
    const event = bytes.subarray(HEADER_BYTES, HEADER_BYTES + header.eventLength)
    const content = bytes.subarray(HEADER_BYTES + header.eventLength, length)
    const intact = crc32(event) === header.eventCrc && crc32(content) === header.bytesCrc
    yield { queueId: header.queueId, offset: at, length, intact, flush: header.flush }
    at += length
  }
}

/** How far from the beginning of these bytes the next header may begin. */
function nextMagic(bytes: Buffer): number {
  const found = bytes.indexOf(MAGIC, 1)
  return found > 0 ? found : Math.max(1, bytes.length - MAGIC.length + 1)
}

/** Bytes from a place on, at least one record's if the file has them; reads each part of the file about once. */
function windowOf(file: FileHandle, end: number): (at: number) => Promise<Buffer> {
  let start = 0
  let held: Buffer = Buffer.alloc(0)
  return async (at) => {
    const have = start + held.length - at
    if (have < Math.min(MAX_SEGMENT_RECORD_BYTES, end - at)) {
      held = await readAt(file, at, Math.min(WINDOW_BYTES, end - at))
      start = at
    }
    return held.subarray(at - start)
  }
}
