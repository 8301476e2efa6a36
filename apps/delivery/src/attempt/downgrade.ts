/**
 * The seven-bit form of a message, for a host without 8BITMIME: parts with octets above 127 are encoded and say so, and the
 * parts around them no longer claim eight bits. Everything else stays octet for octet.
 *
 * The message is read three times (its tree, where the octets are, the conversion), never held: memory holds the tree and one
 * header. Where converting would break something — a signature, encrypted content, a header inside that is not ASCII — there
 * is no such form.
 *
 * STANDARDS  RFC 6152 §3 (conversion), RFC 2045 §6.4, RFC 2046 §5.1–§5.2 (composite types are never encoded themselves),
 *            RFC 1847 §2 (signed and encrypted), RFC 6532 §3.7 (message/global may be), RFC 1428 §3 (not MIME yet)
 */
import {
  DEFAULT_STRUCTURE_LIMITS,
  mediaTypeOf,
  type MessagePart,
  parameter,
  parseHeader,
  parseStructure,
  type Range,
  transferEncoder,
} from '@postbus/message'

type Encoding = 'quoted-printable' | 'base64'

/** A range of the message that is written in another way; in order, apart from each other. */
type Edit = Range &
  (
    | { kind: 'header'; encoding: Encoding | '7bit'; isMessage: boolean }
    | { kind: 'body'; encoding: Encoding }
    /** Between parts, where nobody reads. */
    | { kind: 'mask' }
  )

export type SevenBit =
  { kind: 'form'; size: number; read(): AsyncIterable<Uint8Array> } | { kind: 'impossible'; reason: string }

/** Headers are held while they are changed. */
const MAX_HEADER = DEFAULT_STRUCTURE_LIMITS.headerBytes

/** @param read the message from its beginning, each time anew */
export async function sevenBitForm(read: () => AsyncIterable<Uint8Array>): Promise<SevenBit> {
  const root = await parseStructure(read())
  const { edits, reason } = await plan(root, read)
  if (reason !== undefined) return { kind: 'impossible', reason }
  const convert = (): AsyncIterable<Uint8Array> => converted(read(), edits)
  let size = 0
  for await (const chunk of convert()) size += chunk.length
  return { kind: 'form', size, read: convert }
}

/** A part of the tree as far as conversion goes: what has to be encoded as one is a leaf. */
interface Piece {
  part: MessagePart
  isMessage: boolean
  isLeaf: boolean
  inside: readonly Piece[]
}

function pieceOf(part: MessagePart, isMessage: boolean): Piece {
  const { type, subtype } = mediaTypeOf(part)
  const common = { part, isMessage }
  if (type === 'message' && subtype === 'rfc822' && part.message !== undefined) {
    return { ...common, isLeaf: false, inside: [pieceOf(part.message, true)] }
  }
  if (part.parts !== undefined && part.parts.length > 0) {
    return { ...common, isLeaf: false, inside: part.parts.map((child) => pieceOf(child, false)) }
  }
  return { ...common, isLeaf: true, inside: [] }
}

function* walk(piece: Piece): Generator<Piece> {
  yield piece
  for (const inner of piece.inside) yield* walk(inner)
}

async function plan(
  root: MessagePart,
  read: () => AsyncIterable<Uint8Array>,
): Promise<{ edits: Edit[]; reason?: string }> {
  const tree = pieceOf(root, true)
  const pieces = [...walk(tree)]
  const no = (reason: string) => ({ edits: [], reason: `The next host takes seven-bit messages only; ${reason}` })
  if (pieces.length >= DEFAULT_STRUCTURE_LIMITS.parts) return no('this one has too many parts to be converted')
  const ranges = pieces.flatMap(({ part, isLeaf }) => (isLeaf ? [part.header, part.body] : [part.header]))
  const { eightBit, gaps, header } = await eightBitRanges(ranges, root.header, read())
  if (header === null) return no('the header of this one is too long to be converted')
  const signature = parseHeader(header).find(({ name }) => SIGNATURES.has(name.toLowerCase()))
  if (signature !== undefined) return no(`converting would break its ${signature.name}`)

  const hasEightBit = ({ part, isLeaf, inside }: Piece): boolean =>
    (isLeaf && eightBit.has(part.body)) || inside.some(hasEightBit)
  const edits: Edit[] = gaps.map((gap) => ({ ...gap, kind: 'mask' }))
  for (const piece of pieces) {
    const { part, isLeaf, isMessage } = piece
    if (piece !== tree && eightBit.has(part.header)) return no('a header inside this one is not ASCII')
    if (!hasEightBit(piece)) continue
    const reason = isLeaf ? leafHindrance(part) : containerHindrance(part)
    if (reason !== undefined) return no(reason)
    if (part.header.end - part.header.start > MAX_HEADER) return no('a header inside this one is too long')
    const encoding = isLeaf ? encodingFor(part) : '7bit'
    if (isLeaf || part.encoding !== undefined) edits.push({ ...part.header, kind: 'header', encoding, isMessage })
    if (encoding !== '7bit') edits.push({ ...part.body, kind: 'body', encoding })
  }
  return { edits: edits.sort((a, b) => a.start - b.start) }
}

/** Made over the octets of the body as they are. */
const SIGNATURES = new Set(['dkim-signature', 'arc-message-signature'])

function leafHindrance(part: MessagePart): string | undefined {
  const { type, subtype } = mediaTypeOf(part)
  const encoding = part.encoding?.toLowerCase()
  if (encoding !== undefined && !['7bit', '8bit', 'binary'].includes(encoding)) {
    return `a part of this one is not ${encoding}, as it says`
  }
  if (type === 'multipart') return 'a multipart of this one cannot be read'
  if (type === 'message' && !subtype.startsWith('global')) return `a message/${subtype} may not be encoded`
  return undefined
}

function containerHindrance(part: MessagePart): string | undefined {
  const { type, subtype } = mediaTypeOf(part)
  // Octets outside of parts are masked, and delimiters are outside.
  if (!/^[\x20-\x7e]*$/.test(parameter(part.contentType?.params ?? [], 'boundary') ?? '')) {
    return 'a boundary of this one is not ASCII'
  }
  const sealed = type === 'multipart' && (subtype === 'signed' || subtype === 'encrypted')
  return sealed ? `converting would break its multipart/${subtype}` : undefined
}

/** Text stays readable for those who read it raw. */
const encodingFor = (part: MessagePart): Encoding => (mediaTypeOf(part).type === 'text' ? 'quoted-printable' : 'base64')

interface Found {
  /** Those of the ranges that have octets above 127. */
  eightBit: ReadonlySet<Range>
  /** Where such octets are outside of all of them. */
  gaps: Range[]
  /** The octets of the header of the message; null: too many. */
  header: Buffer | null
}

/** @param ranges in order, apart from each other */
async function eightBitRanges(
  ranges: readonly Range[],
  header: Range,
  body: AsyncIterable<Uint8Array>,
): Promise<Found> {
  const eightBit = new Set<Range>()
  const gaps: Range[] = []
  const kept: Uint8Array[] = []
  const tooLong = header.end > MAX_HEADER
  let at = 0
  let next = 0
  for await (const chunk of body) {
    if (at < header.end && !tooLong) kept.push(Uint8Array.from(chunk.subarray(0, header.end - at)))
    for (const [index, octet] of chunk.entries()) {
      if (octet <= 127) continue
      const place = at + index
      while ((ranges[next]?.end ?? Infinity) <= place) next++
      const range = ranges[next]
      if (range !== undefined && range.start <= place) eightBit.add(range)
      else addTo(gaps, place)
    }
    at += chunk.length
  }
  return { eightBit, gaps, header: tooLong ? null : Buffer.concat(kept) }
}

function addTo(gaps: Range[], place: number): void {
  const last = gaps.at(-1)
  if (last?.end === place) last.end++
  else gaps.push({ start: place, end: place + 1 })
}

/** Octets that nobody reads become question marks. */
const MASK = 0x3f

async function* converted(body: AsyncIterable<Uint8Array>, edits: readonly Edit[]): AsyncGenerator<Uint8Array> {
  let at = 0
  let next = 0
  let writer: Writer | undefined
  for await (const chunk of body) {
    const end = at + chunk.length
    while (at < end) {
      const edit = edits[next]
      const rest = chunk.subarray(chunk.length - (end - at))
      if (edit === undefined || edit.start >= end) {
        yield rest
        at = end
      } else if (at < edit.start) {
        yield rest.subarray(0, edit.start - at)
        at = edit.start
      } else {
        writer ??= writerOf(edit)
        const piece = rest.subarray(0, edit.end - at)
        yield writer.write(piece)
        at += piece.length
        if (at < edit.end) continue
        yield writer.end()
        writer = undefined
        next++
      }
    }
  }
}

interface Writer {
  write(bytes: Uint8Array): Uint8Array
  end(): Uint8Array
}

const NOTHING = Buffer.alloc(0)

function writerOf(edit: Edit): Writer {
  if (edit.kind === 'body') return transferEncoder(edit.encoding)
  if (edit.kind === 'mask') return { write: (bytes) => Buffer.alloc(bytes.length, MASK), end: () => NOTHING }
  const kept: Uint8Array[] = []
  return {
    write(bytes) {
      kept.push(Uint8Array.from(bytes))
      return NOTHING
    },
    end: () => relabelled(Buffer.concat(kept), edit),
  }
}

/** The header with another Content-Transfer-Encoding; of a message that was not MIME, as MIME. */
function relabelled(header: Buffer, { encoding, isMessage }: Extract<Edit, { kind: 'header' }>): Buffer {
  const fields = parseHeader(header)
  const names = new Set(fields.map(({ name }) => name.toLowerCase()))
  const notMime = isMessage && !names.has('mime-version') && !names.has('content-type')
  const kept = fields.filter(({ name }) => name.toLowerCase() !== 'content-transfer-encoding')
  const added = [
    ...(notMime ? ['MIME-Version: 1.0', 'Content-Type: text/plain; charset=unknown-8bit'] : []),
    `Content-Transfer-Encoding: ${encoding}`,
  ]
  return Buffer.concat([
    ...kept.map(({ start, end }) => header.subarray(start, end)),
    Buffer.from(added.map((line) => `${line}\r\n`).join('')),
    header.subarray(fields.at(-1)?.end ?? 0),
  ])
}
