/**
 * Builds the MIME tree from the octets of a message as they pass by.
 *
 * Kept in memory are the tree, the header being read (bounded), and at most one line that may turn out to be a boundary;
 * never a body. However the octets are cut into chunks, the tree is the same. It never fails: broken messages get the tree
 * that Dovecot gives them, and what lies beyond a limit stays one part without children.
 *
 * STANDARDS  RFC 2045, RFC 2046 §5.1 (multipart), §5.2.1 (message/rfc822); RFC 6532 §3.7 (message/global)
 */
import { asBuffer } from './header.ts'
import { octetsOf } from './octets.ts'
import { parameter } from './parameters.ts'
import { describePart } from './part-header.ts'
import { type MessagePart, mediaTypeOf } from './structure.ts'

export interface StructureLimits {
  /** Parts in the whole tree. The last one takes everything up to the end of the message. */
  parts: number
  /** Levels of the tree, the message itself being the first. A container at the last level has no children. */
  depth: number
  /** Octets of one header that are looked at; fields beyond count as absent. */
  headerBytes: number
  /** Octets of all headers together that are looked at: what bounds the size of the tree. */
  allHeaderBytes: number
}

export const DEFAULT_STRUCTURE_LIMITS: StructureLimits = {
  parts: 10_000,
  depth: 100,
  headerBytes: 1024 * 1024,
  allHeaderBytes: 4 * 1024 * 1024,
}

export async function parseStructure(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  limits?: Partial<StructureLimits>,
): Promise<MessagePart> {
  const parser = new StructureParser(limits)
  for await (const chunk of chunks) parser.write(chunk)
  return parser.end()
}

/** For a message that is in memory anyway. */
export function parseStructureOf(bytes: Uint8Array, limits?: Partial<StructureLimits>): MessagePart {
  const parser = new StructureParser(limits)
  parser.write(bytes)
  return parser.end()
}

const LF = 0x0a
const CR = 0x0d
const DASH = 0x2d
const NOTHING = Buffer.alloc(0)

/** Longer boundaries are cut to this: RFC 2046 §5.1.1 allows 70 octets, and Dovecot compares so many. */
const MAX_BOUNDARY = 80

interface OpenPart {
  part: MessagePart
  depth: number
  isMessage: boolean
  /** Without a Content-Type it is then a message — RFC 2046 §5.1.5. */
  inDigest: boolean
  /** Line feeds seen before the body began. */
  linesBefore: number
}

interface Boundary {
  octets: Buffer
  owner: OpenPart
}

type Line =
  | { kind: 'unclear' }
  | { kind: 'empty'; length: number }
  | { kind: 'delimiter'; boundary: Boundary; closing: boolean }
  | undefined

export class StructureParser {
  readonly #limits: StructureLimits
  readonly #root: MessagePart
  /** From the root to the innermost. */
  readonly #open: OpenPart[] = []
  /** Of the open multiparts, outermost first. */
  #boundaries: Boundary[] = []
  #longestBoundary = 0
  #count = 0

  #place: 'header' | 'body' | 'delimiter' | 'closingDelimiter' = 'header'
  #atLineStart = true
  #lastOctet = 0
  /** Octets that ended the last line of this part: they belong to a delimiter that follows — RFC 2046 §5.1.1. */
  #lineEnd = 0
  #lines = 0

  /** Where in the message the held octets begin. */
  #offset = 0
  #held = NOTHING
  #header: Buffer[] = []
  #headerKept = 0
  #allHeadersKept = 0

  constructor(limits: Partial<StructureLimits> = {}) {
    this.#limits = { ...DEFAULT_STRUCTURE_LIMITS, ...limits }
    this.#root = this.#begin(0, { depth: 1, isMessage: true, inDigest: false })
  }

  write(chunk: Uint8Array): void {
    const bytes = asBuffer(chunk)
    this.#read(this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]), false)
  }

  end(): MessagePart {
    this.#read(this.#held, true)
    const end = this.#offset
    while (this.#place === 'header') this.#endHeader(end)
    for (let open = this.#open.pop(); open !== undefined; open = this.#open.pop()) {
      open.part.body.end = end
      open.part.bodyLines = this.#lines - open.linesBefore
    }
    return this.#root
  }

  #read(data: Buffer, last: boolean): void {
    const base = this.#offset
    let at = 0
    /** Header octets from here on are not yet kept. */
    let headerFrom = 0
    while (at < data.length) {
      const line = this.#atLineStart ? this.#lookAhead(data, at, last) : undefined
      if (line?.kind === 'unclear') break
      if (line?.kind === 'empty') {
        this.#keepHeader(data.subarray(headerFrom, at))
        at += line.length
        this.#countLine(line.length)
        this.#endHeader(base + at)
        headerFrom = at
        continue
      }
      if (line?.kind === 'delimiter') {
        if (this.#place === 'header') this.#keepHeader(data.subarray(headerFrom, at))
        this.#cross(line.boundary, line.closing, base + at)
      }
      at = this.#passLine(data, at)
      if (this.#atLineStart && (this.#place === 'delimiter' || this.#place === 'closingDelimiter')) {
        this.#passDelimiter(base + at)
        headerFrom = at
      }
    }
    if (this.#place === 'header') this.#keepHeader(data.subarray(headerFrom, at))
    this.#offset = base + at
    // A copy, so that a few held octets do not keep a whole chunk alive.
    this.#held = at < data.length ? Buffer.from(data.subarray(at)) : NOTHING
  }

  /** What the line at `at` is, if it is more than content: only its first octets decide. */
  #lookAhead(data: Buffer, at: number, last: boolean): Line {
    const first = data[at]
    if (first === DASH) return this.#boundaries.length === 0 ? undefined : this.#lookForDelimiter(data, at, last)
    if (this.#place !== 'header') return undefined
    if (first === LF) return { kind: 'empty', length: 1 }
    if (first !== CR) return undefined
    if (at + 1 === data.length && !last) return { kind: 'unclear' }
    return data[at + 1] === LF ? { kind: 'empty', length: 2 } : undefined
  }

  #lookForDelimiter(data: Buffer, at: number, last: boolean): Line {
    if (at + 1 === data.length && !last) return { kind: 'unclear' }
    if (data[at + 1] !== DASH) return undefined
    // Dashes, the boundary, dashes, CR LF: more octets cannot make a difference.
    const enough = at + this.#longestBoundary + 6
    const head = data.subarray(at + 2, enough)
    const lf = head.indexOf(LF)
    if (lf < 0 && data.length < enough && !last) return { kind: 'unclear' }
    const line = lf < 0 ? head : head.subarray(0, head[lf - 1] === CR ? lf - 1 : lf)
    const boundary = this.#findBoundary(line)
    if (boundary === undefined) return undefined
    const closing = line[boundary.octets.length] === DASH && line[boundary.octets.length + 1] === DASH
    return { kind: 'delimiter', boundary, closing }
  }

  /**
   * The innermost boundary that is the whole line, otherwise the longest with which the line begins: what follows a
   * boundary on its line is ignored, and a boundary may begin with another.
   */
  #findBoundary(line: Buffer): Boundary | undefined {
    let best: Boundary | undefined
    for (let index = this.#boundaries.length - 1; index >= 0; index--) {
      const candidate = this.#boundaries[index]
      if (candidate === undefined) continue
      const { length } = candidate.octets
      if (length > line.length || length <= (best?.octets.length ?? -1)) continue
      if (!line.subarray(0, length).equals(candidate.octets)) continue
      best = candidate
      if (line.length === length) break
      if (line.length === length + 2 && line[length] === DASH && line[length + 1] === DASH) break
    }
    return best
  }

  /** Up to the end of the line or of the data. */
  #passLine(data: Buffer, at: number): number {
    const lf = data.indexOf(LF, at)
    const end = lf < 0 ? data.length : lf + 1
    if (lf >= 0) {
      const before = lf > at ? data[lf - 1] : this.#atLineStart ? LF : this.#lastOctet
      this.#countLine(before === CR ? 2 : 1)
    } else {
      this.#atLineStart = false
    }
    this.#lastOctet = data[end - 1] ?? LF
    return end
  }

  #countLine(lineEnd: number): void {
    this.#lines++
    this.#lineEnd = lineEnd
    this.#atLineStart = true
  }

  #keepHeader(octets: Buffer): void {
    const room = Math.min(
      this.#limits.headerBytes - this.#headerKept,
      this.#limits.allHeaderBytes - this.#allHeadersKept,
      octets.length,
    )
    if (room <= 0) return
    this.#header.push(octets.subarray(0, room))
    this.#headerKept += room
    this.#allHeadersKept += room
  }

  #begin(at: number, kind: Pick<OpenPart, 'depth' | 'isMessage' | 'inDigest'>): MessagePart {
    const part: MessagePart = { header: { start: at, end: at }, body: { start: at, end: at }, bodyLines: 0 }
    this.#open.push({ ...kind, part, linesBefore: this.#lines })
    this.#place = 'header'
    this.#count++
    // Nothing may be opened after the last part, so no delimiter counts any more.
    if (this.#count >= this.#limits.parts) this.#setBoundaries([])
    return part
  }

  #endHeader(at: number): void {
    const open = this.#open.at(-1)
    if (open === undefined) return
    const { part } = open
    part.header.end = at
    part.body = { start: at, end: at }
    open.linesBefore = this.#lines
    const [only, ...more] = this.#header
    describePart(part, more.length === 0 ? (only ?? NOTHING) : Buffer.concat(this.#header), open.isMessage)
    this.#header = []
    this.#headerKept = 0
    this.#place = 'body'
    if (open.depth < this.#limits.depth && this.#count < this.#limits.parts) this.#openContainer(open)
  }

  #openContainer(open: OpenPart): void {
    const { part, depth } = open
    const digested = open.inDigest && part.contentType === undefined
    const { type, subtype } = digested ? { type: 'message', subtype: 'rfc822' } : mediaTypeOf(part)
    if (type === 'message' && (subtype === 'rfc822' || subtype === 'global')) {
      part.message = this.#begin(part.body.start, { depth: depth + 1, isMessage: true, inDigest: false })
    } else if (type === 'multipart' && subtype !== '') {
      part.parts = []
      const boundary = parameter(part.contentType?.params ?? [], 'boundary')
      if (boundary !== undefined) {
        const octets = octetsOf(boundary).subarray(0, MAX_BOUNDARY)
        this.#setBoundaries([...this.#boundaries, { octets, owner: open }])
      }
    }
  }

  /** A delimiter line begins at `at`: what is inside its multipart ends before it. */
  #cross(boundary: Boundary, closing: boolean, at: number): void {
    while (this.#place === 'header') this.#endHeader(at)
    // Directly after a header its last line end belongs to the delimiter. The parts around it keep the whole header:
    // there RFC 2046 and Dovecot differ by two octets, and clients see Dovecot's.
    const cut = this.#open.at(-1)?.part.body.start === at
    let end = at - this.#lineEnd
    for (let open = this.#open.at(-1); open !== undefined && open !== boundary.owner; open = this.#open.at(-1)) {
      const { part } = open
      const hasHeader = part.header.end > part.header.start
      const lines = this.#lines - open.linesBefore
      part.bodyLines = end < at && lines > 0 ? lines - 1 : lines
      part.header = { start: Math.min(part.header.start, end), end: Math.min(part.header.end, end) }
      part.body = { start: Math.min(part.body.start, end), end }
      if (cut && hasHeader) end = at
      this.#open.pop()
    }
    const index = this.#boundaries.indexOf(boundary)
    this.#setBoundaries(this.#boundaries.slice(0, closing ? index : index + 1))
    this.#place = closing ? 'closingDelimiter' : 'delimiter'
  }

  /** After the line of a delimiter: the next part, or what is to be ignored after the last one. */
  #passDelimiter(at: number): void {
    const owner = this.#open.at(-1)
    if (this.#place === 'delimiter' && owner !== undefined) {
      const inDigest = owner.part.contentType?.subtype.toLowerCase() === 'digest'
      owner.part.parts?.push(this.#begin(at, { depth: owner.depth + 1, isMessage: false, inDigest }))
    } else {
      this.#place = 'body'
    }
    this.#lineEnd = 0
  }

  #setBoundaries(boundaries: Boundary[]): void {
    this.#boundaries = boundaries
    this.#longestBoundary = boundaries.reduce((longest, { octets }) => Math.max(longest, octets.length), 0)
  }
}
