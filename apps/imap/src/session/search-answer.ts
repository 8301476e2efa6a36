/**
 * The answer to a SEARCH: which of what was found is told, in which form, and what `$` is afterwards.
 *
 * STANDARDS  RFC 9051 §6.4.4, §7.3.4; RFC 4731 §3; RFC 5182 §2; RFC 7162 §3.1.6; RFC 9394 §3.1
 */
import { encodeString, partOf, type NumberSet, type SearchReturn } from '@postbus/imap-wire'

import type { Output } from '../output.ts'

/** Octets written together. */
const MAX_PIECE = 8000

/** `* SEARCH` — RFC 3501 §7.2.5. @param modseq 0: none is to be told */
export async function writeSearch(out: Output, numbers: NumberSet, modseq: number): Promise<void> {
  out.write('* SEARCH')
  for (const number of numbers) {
    out.write(` ${number}`)
    if (out.full) await out.room()
  }
  out.write(modseq > 0 ? ` (MODSEQ ${modseq})\r\n` : '\r\n')
}

export interface Esearch {
  tag: string
  byUid: boolean
  options: SearchReturn
  /** As the client wants them numbered. */
  numbers: NumberSet
  /** 0: none is to be told. */
  modseq: number
}

/** `* ESEARCH` — RFC 9051 §7.3.4. */
export async function writeEsearch(out: Output, { tag, byUid, options, numbers, modseq }: Esearch): Promise<void> {
  out.write(`* ESEARCH (TAG ${encodeString(tag)})${byUid ? ' UID' : ''}`)
  // RFC 4731 §3.1: of nothing there is no MIN, MAX or ALL.
  if (!numbers.isEmpty) {
    if (options.min) out.write(` MIN ${numbers.first}`)
    if (options.max) out.write(` MAX ${numbers.last}`)
    if (options.all) await writeSet(out, ' ALL ', numbers)
  }
  if (options.partial) {
    const part = partOf(numbers, options.partial)
    await writeSet(out, ` PARTIAL (${options.partial.text} `, part)
    out.write(part.isEmpty ? 'NIL)' : ')')
  }
  if (options.count) out.write(` COUNT ${numbers.size}`)
  out.write(modseq > 0 ? ` MODSEQ ${modseq}\r\n` : '\r\n')
}

/** Written after what goes before it; a set of no numbers has no form. */
async function writeSet(out: Output, before: string, numbers: NumberSet): Promise<void> {
  let separator = before
  for (const piece of numbers.pieces(MAX_PIECE)) {
    out.write(`${separator}${piece}`)
    separator = ','
    if (out.full) await out.room()
  }
  if (separator === before) out.write(before)
}

/**
 * The messages the options are about: only the ends when only these are asked for, and the part — RFC 4731 §3.2 (MODSEQ), RFC
 * 5182 §2.1 (SAVE), RFC 9394 §3.2. Null: all that were found.
 */
export function narrowed(found: NumberSet, { min, max, all, count, partial }: SearchReturn): NumberSet | null {
  if (all || count || !(min || max || partial)) return null
  const part = partial ? partOf(found, partial) : found.within(1, 0)
  const { first = 0, last = 0 } = found
  const ends = (min ? found.within(first, first) : part).union(max ? found.within(last, last) : part)
  return found.isEmpty ? found : part.union(ends)
}

/** Whether there is an ESEARCH response at all: SAVE alone has none — RFC 5182 §2.1. */
export const isTold = ({ min, max, all, count, partial }: SearchReturn): boolean =>
  min || max || all || count || partial !== undefined
