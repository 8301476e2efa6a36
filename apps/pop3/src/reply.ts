/** POP3 replies as values — RFC 1939 §3, response codes RFC 2449 §8, RFC 3206, RFC 6856 §5. */

export type ResponseCode = 'IN-USE' | 'AUTH' | 'SYS/TEMP' | 'SYS/PERM' | 'UTF8'

/** A refusal: `-ERR`. The cause is for the log. */
export class Pop3Error extends Error {
  override readonly name = 'Pop3Error'
  readonly code: ResponseCode | null

  constructor(text: string, code: ResponseCode | null = null, options?: ErrorOptions) {
    super(text, options)
    this.code = code
  }
}

export interface Reply {
  text: string
  /** What follows the status line, already a multi-line response. */
  body?: AsyncIterable<Uint8Array>
  /** The handshake follows the status line — RFC 2595 §4. */
  startTls?: true
}

export const refusal = ({ code, message }: Pop3Error): string =>
  `-ERR ${code === null ? '' : `[${code}] `}${message}\r\n`

export const statusLine = ({ text }: Reply): string => `+OK ${text}\r\n`

/** A multi-line response of short lines we wrote ourselves; none begins with a dot. */
export async function* lines(text: Iterable<string>): AsyncIterable<Uint8Array> {
  let piece = ''
  for (const line of text) {
    piece += `${line}\r\n`
    if (piece.length < PIECE_LENGTH) continue
    yield Buffer.from(piece)
    piece = ''
  }
  yield Buffer.from(`${piece}.\r\n`)
}

/** Long listings go out in pieces of about this many characters. */
const PIECE_LENGTH = 32 * 1024
