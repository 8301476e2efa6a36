/**
 * The mbox format, as streams: `From ` lines between messages, `>From ` for such lines in them (mboxrd), flags in Status,
 * X-Status and X-Keywords.
 *
 * A line begins a message when it looks like a `From ` line with a year and an empty line, or nothing, stands before it.
 * Content-Length is not believed: files in which it is wrong are common.
 *
 * STANDARDS  RFC 4155
 */
const LF = 0x0a
const CR = 0x0d
const QUOTE = 0x3e
/** Of a longer header no flags are taken behind this. */
const MAX_HEADER = 256 * 1024
/** A longer line comes in pieces. */
const MAX_PIECE = 64 * 1024
const FROM = Buffer.from('From ')
const FROM_LINE = /^From .*\b\d{4}\b/
const QUOTED_FROM = /^>+From /

export interface MboxMessage {
  /** Of its `From ` line in the file. */
  offset: number
  flags: string[]
  /** As the `From ` line says; null where that cannot be read. */
  date: Date | null
  /** Lines end as in the file. What is not read is passed over. */
  octets: AsyncIterable<Uint8Array>
}

/** Something stands before the first `From ` line. */
export class NotMbox extends Error {
  override readonly name = 'NotMbox'
}

/** @throws NotMbox */
export async function* mboxMessages(file: AsyncIterable<Uint8Array>): AsyncGenerator<MboxMessage> {
  const reader = new MboxReader(file)
  for (let from = await reader.first(); from !== null; from = await reader.nextFrom()) {
    const { header, rest } = await reader.header()
    const { kept, flags } = takeStatus(header)
    const start = Buffer.from(kept, 'latin1')
    yield { offset: from.offset, date: dateOf(from.line), flags, octets: reader.body(start, rest) }
  }
}

/** A line with its end, or a piece of a long one. */
interface Piece {
  bytes: Buffer
  /** In the file. */
  offset: number
  startsLine: boolean
}

interface FromLine {
  offset: number
  line: string
}

class MboxReader {
  readonly #pieces: AsyncGenerator<Piece>
  /** Of the next message, once the one before was read to its end. */
  #from: FromLine | null = null
  #ended = false
  /** An empty line: part of the message only when another line of it follows. */
  #held: Buffer | null = null

  constructor(file: AsyncIterable<Uint8Array>) {
    this.#pieces = piecesOf(file)
  }

  async first(): Promise<FromLine | null> {
    for (;;) {
      const { value: piece, done } = await this.#pieces.next()
      if (done) return null
      if (isEmptyLine(piece.bytes)) continue
      const line = piece.bytes.toString('latin1')
      if (!FROM_LINE.test(line)) throw new NotMbox('it does not begin with a From line')
      return { offset: piece.offset, line }
    }
  }

  async nextFrom(): Promise<FromLine | null> {
    while ((await this.#content()) !== null);
    const from = this.#from
    this.#from = null
    return from
  }

  /** The lines of the header, and what was read of the rest, which begins with the empty line. */
  async header(): Promise<{ header: string; rest: Buffer | null }> {
    let header = ''
    while (header.length < MAX_HEADER) {
      const bytes = await this.#content()
      if (bytes === null || isEmptyLine(bytes.subarray(0, bytes.indexOf(LF) + 1))) return { header, rest: bytes }
      header += bytes.toString('latin1')
    }
    return { header, rest: null }
  }

  async *body(start: Buffer, rest: Buffer | null): AsyncGenerator<Uint8Array> {
    let waiting = rest === null ? [start] : [start, rest]
    let size = start.length + (rest?.length ?? 0)
    for (let bytes = await this.#content(); bytes !== null; bytes = await this.#content()) {
      waiting.push(bytes)
      size += bytes.length
      if (size < MAX_PIECE) continue
      yield Buffer.concat(waiting)
      waiting = []
      size = 0
    }
    if (size > 0) yield Buffer.concat(waiting)
  }

  /** What follows of this message; null at its end. */
  async #content(): Promise<Buffer | null> {
    while (this.#from === null && !this.#ended) {
      const { value: piece, done } = await this.#pieces.next()
      const held = this.#held
      this.#held = null
      if (done) {
        this.#ended = true
      } else if (held !== null && isFromLine(piece)) {
        this.#from = { offset: piece.offset, line: piece.bytes.toString('latin1') }
      } else if (piece.startsLine && isEmptyLine(piece.bytes)) {
        this.#held = piece.bytes
        if (held !== null) return held
      } else {
        const bytes = unquoted(piece)
        return held === null ? bytes : Buffer.concat([held, bytes])
      }
    }
    return null
  }
}

const isEmptyLine = (bytes: Buffer): boolean =>
  (bytes.length === 1 && bytes[0] === LF) || (bytes.length === 2 && bytes[0] === CR && bytes[1] === LF)

const isFromLine = ({ bytes, startsLine }: Piece): boolean =>
  startsLine && bytes.subarray(0, FROM.length).equals(FROM) && FROM_LINE.test(bytes.toString('latin1'))

function unquoted({ bytes, startsLine }: Piece): Buffer {
  return startsLine && bytes[0] === QUOTE && QUOTED_FROM.test(bytes.toString('latin1')) ? bytes.subarray(1) : bytes
}

async function* piecesOf(file: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  let pending: Buffer = Buffer.alloc(0)
  let offset = 0
  let startsLine = true
  const piece = (bytes: Buffer): Piece => {
    const made = { bytes, offset, startsLine }
    offset += bytes.length
    startsLine = bytes.at(-1) === LF
    return made
  }
  for await (const chunk of file) {
    const bytes = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk])
    let from = 0
    for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, from)) {
      yield piece(bytes.subarray(from, at + 1))
      from = at + 1
    }
    pending = bytes.subarray(from)
    if (pending.length < MAX_PIECE) continue
    yield piece(pending)
    pending = Buffer.alloc(0)
  }
  if (pending.length > 0) yield piece(pending)
}

const statusFlags: Readonly<Record<string, string>> = {
  R: '\\Seen',
  A: '\\Answered',
  F: '\\Flagged',
  D: '\\Deleted',
  T: '\\Draft',
}

/** The fields that mail programs keep flags in are no part of the message. */
function takeStatus(header: string): { kept: string; flags: string[] } {
  const flags: string[] = []
  const kept = header.replaceAll(
    /^(Status|X-Status|X-Keywords):(.*(?:\r?\n[ \t].*)*)\r?\n/gim,
    (_, name: string, value: string) => {
      const text = value.trim()
      if (name.toLowerCase() === 'x-keywords') flags.push(...text.split(/[\s,]+/).filter((keyword) => keyword !== ''))
      else flags.push(...[...text].flatMap((letter) => statusFlags[letter] ?? []))
      return ''
    },
  )
  return { kept, flags: [...new Set(flags)] }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DATE = /([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}):(\d{2})(?::(\d{2}))?(?: [A-Z]+)? (\d{4})(?: ([+-])(\d{2})(\d{2}))?/

/** As asctime writes it, in UTC unless it says otherwise — RFC 4155, appendix A. */
function dateOf(line: string): Date | null {
  const [, name = '', day, hour, minute, second = 0, year, sign, zoneHour, zoneMinute] = DATE.exec(line) ?? []
  const month = MONTHS.indexOf(name)
  if (month === -1) return null
  const utc = Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second))
  const zoneMs = sign === undefined ? 0 : (Number(zoneHour) * 60 + Number(zoneMinute)) * 60_000
  return new Date(sign === '-' ? utc + zoneMs : utc - zoneMs)
}

/** The `From ` line and the fields with the flags. */
export function mboxStart({ internalDate, flags }: { internalDate: Date; flags: readonly string[] }): string {
  const letter = (wanted: string): string =>
    Object.entries(statusFlags)
      .filter(([key, flag]) => wanted.includes(key) && flags.some((has) => has.toLowerCase() === flag.toLowerCase()))
      .map(([key]) => key)
      .join('')
  const keywords = flags.filter((flag) => !flag.startsWith('\\'))
  const [weekday, day, month, year, time] = internalDate.toUTCString().replace(',', '').split(' ')
  const date = `${weekday} ${month} ${day} ${time} ${year}`
  const status = `Status: ${letter('R')}O\n`
  const more = letter('AFDT')
  return (
    `From MAILER-DAEMON ${date}\n${status}` +
    (more === '' ? '' : `X-Status: ${more}\n`) +
    (keywords.length === 0 ? '' : `X-Keywords: ${keywords.join(' ')}\n`)
  )
}

/** Lines that look like `From ` get a `>` more; the last line ends, and an empty one follows. */
export async function* mboxQuoted(octets: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let last = LF
  for await (const piece of piecesOf(octets)) {
    if (piece.startsLine && /^>*From /.test(piece.bytes.toString('latin1', 0, MAX_PIECE))) yield Uint8Array.of(QUOTE)
    yield piece.bytes
    last = piece.bytes.at(-1) ?? last
  }
  yield Buffer.from(last === LF ? '\n' : '\n\n')
}
