/** Sections cut out of the messages of a page: out of each by itself, or at once out of headers that were read as one. */
import { type Section, SectionColumns } from '@postbus/contracts'

import { cutSections, type HeldContent, previewOf } from '../../../mailbox/sections.ts'
import type { FetchPageOf } from '../../../mailbox/storage.ts'
import type { HeaderPage } from './header-pages.ts'

/**
 * A page ends when its texts or its bytes reach this: with what else it says it is a frame of the bus. What waits for a slow
 * reader is at most a page or two.
 */
export const MAX_PAGE_BYTES = 224 * 1024

type Want = FetchPageOf['want']

/** Headers one after the other, with where each ends. */
export interface HeldHeaders {
  octets: Uint8Array
  ends: number[]
}

/** What was cut out of messages: of as many of them as make a page. */
export interface Cut {
  count: number
  previews: string[]
  columns: ReturnType<SectionColumns['columns']>
  octets: Uint8Array
}

export async function cutFrom(contents: AsyncIterable<HeldContent | null>, want: Want): Promise<Cut> {
  const previews: string[] = []
  const sections = new SectionColumns()
  let count = 0
  for await (const content of contents) {
    count++
    if (want.preview) previews.push(content === null ? '' : await previewOf(content))
    const cut = content === null ? absent(want) : await cutSections(content, want.sections)
    sections.add(cut.sections, cut.bytes)
    if (sections.octetsHeld >= MAX_PAGE_BYTES) break
  }
  return { count, previews, columns: sections.columns(), octets: sections.octets() }
}

/** The same at once, out of as many of the headers as there are rows. */
export function cutHeld(
  { octets, ends }: HeldHeaders,
  rows: number,
  { sections }: Want,
  cutters: readonly ((header: string) => string)[],
): Cut {
  const held = { octets, ends: ends.slice(0, rows) }
  const [section, ...others] = sections
  const isOne = section !== undefined && others.length === 0 && isWholeHeader(section)
  return isOne ? wholeHeaders(held) : cutFields(held, cutters)
}

export const isWholeHeader = ({ kind }: Section): boolean => kind === 'header'

function wholeHeaders({ octets, ends }: HeldHeaders): Cut {
  const last = ends.findIndex((end) => end >= MAX_PAGE_BYTES)
  const count = last < 0 ? ends.length : last + 1
  const lengths = ends.slice(0, count).map((end, at) => end - (ends[at - 1] ?? 0))
  return { count, previews: [], columns: { lengths }, octets: new Uint8Array(octets.subarray(0, ends[count - 1] ?? 0)) }
}

/** Headers turned into text at a time: strings as short as these come and go in memory that is used again and again. */
const HEADERS_AT_A_TIME = 32

function cutFields({ octets, ends }: HeldHeaders, cutters: readonly ((header: string) => string)[]): Cut {
  const headers = Buffer.from(octets.buffer, octets.byteOffset, octets.length)
  const lengths: number[] = []
  const pieces: string[] = []
  let length = 0
  let count = 0
  while (count < ends.length && length < MAX_PAGE_BYTES) {
    const start = ends[count - 1] ?? 0
    const some = ends.slice(count, count + HEADERS_AT_A_TIME)
    const text = headers.toString('latin1', start, some.at(-1))
    let from = 0
    let fields = ''
    for (const end of some) {
      const header = text.slice(from, end - start)
      for (const cut of cutters) {
        const section = cut(header)
        lengths.push(section.length)
        fields += section
      }
      from = end - start
      count++
      if (length + fields.length >= MAX_PAGE_BYTES) break
    }
    pieces.push(fields)
    length += fields.length
  }
  const memory = new SharedArrayBuffer(length)
  const joined = Buffer.from(memory)
  pieces.reduce((at, piece) => at + joined.write(piece, at, 'latin1'), 0)
  release(octets)
  return { count, previews: [], columns: { lengths }, octets: new Uint8Array(memory) }
}

/** Memory of a page's headers is good for the next page's, and need not wait for a collection of garbage. */
function release({ buffer, length }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}

const absent = ({ sections }: Want) => ({ sections: sections.map(() => ({ kind: 'absent' as const })), bytes: [] })

/** Whether all that was asked for is in its octets. */
export const isWhole = ({ columns }: Cut): boolean => columns.sections === undefined

export const toKeep = ({ count, columns: { lengths = [] }, octets }: Cut): HeaderPage => ({
  count,
  lengths,
  octets: sharedOf(octets),
})

function sharedOf(octets: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const { buffer, byteOffset, length } = octets
  if (buffer instanceof SharedArrayBuffer) return new Uint8Array(buffer, byteOffset, length)
  const shared = new Uint8Array(new SharedArrayBuffer(length))
  shared.set(octets)
  return shared
}
