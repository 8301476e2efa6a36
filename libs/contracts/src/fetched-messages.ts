/** Pages of a fetch and the messages in them: each is the other's inverse. */
import type { FetchedPage, SectionBytes } from './mailstore-messages.ts'

/** What was not asked for is undefined. */
export interface FetchedMessage {
  uid: number
  modseq: number
  flags?: string[] | undefined
  /** Milliseconds since 1970, UTC; `saveDate` too. */
  internalDate?: number | undefined
  saveDate?: number | undefined
  size?: number | undefined
  envelope?: string | undefined
  structure?: string | undefined
  basicStructure?: string | undefined
  emailId?: string | undefined
  preview?: string | undefined
  sections?: FetchedSection[] | undefined
  /** In place of `sections`, where that was asked for: octet strings, one character per octet. */
  texts?: string[] | undefined
}

/** A section with those of its octets that came with the page: all of it, or what leads the blob's. */
export type FetchedSection =
  | { kind: 'inline'; octets: Uint8Array }
  | (Omit<Extract<SectionBytes, { kind: 'blob' }>, 'lead'> & { lead: Uint8Array })
  | Exclude<SectionBytes, { kind: 'inline' | 'blob' }>

const NO_OCTETS = new Uint8Array()

/** Octets of a section, on average, up to which text is less work than octets. */
const SHORT = 2048

/**
 * The messages of a page, in order. Sections are views of its octets; with `asText`, `texts` where all of them are inline and short.
 * @throws Error when the octets are fewer than their lengths say
 */
export function* fetchedMessages(
  page: FetchedPage,
  [octets = NO_OCTETS]: readonly Uint8Array[],
  { asText = false } = {},
): Generator<FetchedMessage> {
  const textsOf = asText ? textReader(page, octets) : undefined
  const sectionsOf = textsOf ? undefined : sectionReader(page, octets)
  for (const [at, uid] of page.uids.entries()) {
    const set = page.flags?.[at]
    yield {
      uid,
      modseq: page.modseqs[at] ?? 0,
      flags: typeof set === 'number' ? page.flagSets?.[set] : undefined,
      internalDate: page.internalDates?.[at],
      saveDate: page.saveDates?.[at],
      size: page.sizes?.[at],
      envelope: page.envelopes?.[at],
      structure: page.structures?.[at],
      basicStructure: page.basicStructures?.[at],
      emailId: page.emailIds?.[at],
      preview: page.previews?.[at],
      sections: sectionsOf?.(at),
      texts: textsOf?.(at),
    }
  }
}

/** To be called for every message in order. */
function textReader(
  { uids, sections, lengths = [] }: FetchedPage,
  octets: Uint8Array,
): ((at: number) => string[]) | undefined {
  if (sections || lengths.length === 0 || octets.length > lengths.length * SHORT) return undefined
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1')
  const perMessage = lengths.length / uids.length
  let end = 0
  const take = (length: number): string => {
    const from = end
    end += length
    if (end > text.length) throw fewerOctets()
    return text.slice(from, end)
  }
  return (at) => lengths.slice(at * perMessage, (at + 1) * perMessage).map(take)
}

const fewerOctets = (): Error => new Error('a page has fewer octets than its sections')

/** To be called for every message in order. */
function sectionReader(
  { uids, sections, lengths = [] }: FetchedPage,
  octets: Uint8Array,
): ((at: number) => FetchedSection[]) | undefined {
  let next = 0
  let from = 0
  const take = (): Uint8Array => {
    const end = from + (lengths[next++] ?? 0)
    if (end > octets.length) throw fewerOctets()
    const taken = octets.subarray(from, end)
    from = end
    return taken
  }
  const withOctets = (section: SectionBytes): FetchedSection => {
    if (section.kind === 'inline') return { kind: 'inline', octets: take() }
    if (section.kind !== 'blob') return section
    const { lead, ...rest } = section
    return { ...rest, lead: lead ? take() : NO_OCTETS }
  }
  if (sections) return (at) => (sections[at] ?? []).map(withOctets)
  if (lengths.length === 0) return undefined
  const each = Array.from({ length: lengths.length / uids.length }, () => ({ kind: 'inline' }) as const)
  return () => each.map(withOctets)
}

/** Sections of a page, message by message, and their octets as the one byte string of its row. */
export class SectionColumns {
  readonly #sections: SectionBytes[][] = []
  readonly #lengths: number[] = []
  readonly #octets: Uint8Array[] = []
  #allInline = true
  #octetsHeld = 0

  get octetsHeld(): number {
    return this.#octetsHeld
  }

  /** @param octets of those sections that are inline, and leads, in order: each in pieces */
  add(sections: SectionBytes[], octets: readonly (readonly Uint8Array[])[]): void {
    this.#sections.push(sections)
    this.#allInline &&= sections.every(({ kind }) => kind === 'inline')
    for (const pieces of octets) {
      let length = 0
      for (const piece of pieces) {
        this.#octets.push(piece)
        length += piece.length
      }
      this.#lengths.push(length)
      this.#octetsHeld += length
    }
  }

  columns(): Pick<FetchedPage, 'sections' | 'lengths'> {
    return { lengths: this.#lengths, ...(!this.#allInline && { sections: this.#sections }) }
  }

  /** In memory of their own. */
  octets(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#octetsHeld)
    let at = 0
    for (const bytes of this.#octets) {
      all.set(bytes, at)
      at += bytes.length
    }
    return all
  }
}

/** Sets of flags, each said once, and which one every message has. */
export class FlagColumns {
  /** By the set as given, and by its flags. */
  readonly #numbers = new Map<readonly string[] | string, number>()
  readonly #sets: string[][] = []
  readonly #flags: (number | null)[] = []

  /** @param flags undefined: nothing is said of this message's. Not to be changed afterwards. */
  add(flags: readonly string[] | undefined): void {
    this.#flags.push(flags === undefined ? null : this.#numberOf(flags))
  }

  columns(): Pick<FetchedPage, 'flagSets' | 'flags'> {
    return { flagSets: this.#sets, flags: this.#flags }
  }

  #numberOf(flags: readonly string[]): number {
    const known = this.#numbers.get(flags)
    if (known !== undefined) return known
    const text = flags.join(' ')
    const number = this.#numbers.get(text) ?? this.#sets.push([...flags]) - 1
    this.#numbers.set(flags, number).set(text, number)
    return number
  }
}
