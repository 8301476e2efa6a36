/**
 * From a queue id to its segment: by the segments we know and their indexes first, by scanning where that was not enough.
 */
import type { QueueId } from '@postbus/contracts'

import type { Catalog } from './catalog.ts'
import type { Place } from './index-entry.ts'
import type { SegmentName } from './layout.ts'
import { type Segment, SegmentGone } from './segment.ts'

export interface Found {
  name: SegmentName
  segment: Segment
  place: Place
}

export async function locate(catalog: Catalog, queueId: QueueId): Promise<Found | null> {
  return await search(catalog, queueId, (segment) => segment.refresh())
}

/** After the catalog was refreshed: whatever was put before that and still lies in a segment is found. */
export async function locateScanning(catalog: Catalog, queueId: QueueId): Promise<Found | null> {
  return await search(catalog, queueId, (segment) => segment.scan())
}

async function search(
  catalog: Catalog,
  queueId: QueueId,
  update: (segment: Segment) => Promise<void>,
): Promise<Found | null> {
  for (const name of catalog.candidates(queueId)) {
    const segment = catalog.segment(name)
    const known = segment.place(queueId)
    if (known) return { name, segment, place: known }
    const place = await updated(segment, queueId, update)
    await catalog.learnt(name, segment)
    if (place) return { name, segment, place }
  }
  return null
}

async function updated(
  segment: Segment,
  queueId: QueueId,
  update: (segment: Segment) => Promise<void>,
): Promise<Place | undefined> {
  try {
    await update(segment)
    return segment.place(queueId)
  } catch (cause) {
    // All its records were freed or copied out at this moment: the caller looks there.
    if (cause instanceof SegmentGone) return undefined
    throw cause
  }
}
