/**
 * Replies out of the octets of a peer, whole ones only: how they are cut into packets says nothing.
 *
 * What is no reply is no answer, neither good nor bad: three digits, the first of them 2 to 5, then a blank, a hyphen or the end of
 * the line, and the same digits on every line. Line feeds alone end lines, too; peers that do so are understood by everybody.
 *
 * STANDARDS  RFC 5321 §4.2, §4.2.1 (several lines), §4.5.3.1.5 (their length; more is taken)
 */
const LF = 0x0a
const CR = 0x0d
const LINE = /^(?<code>[2-5]\d\d)(?<more>[ -]|$)/
/** Of one reply. What a peer says beyond a screenful tells nobody anything. */
export const MAX_REPLY_OCTETS = 64 * 1024

const EMPTY = Buffer.alloc(0)
/** Of what is shown. */
const SHOWN = 100

/** What came is no reply; nothing that comes after it can be understood. */
export class NoReply extends Error {
  override readonly name = 'NoReply'
}

export class ReplyReader {
  #rest: Buffer = EMPTY
  #lines: string[] = []
  #code: string | undefined
  #octets = 0

  /** Part of a reply has come. */
  get inside(): boolean {
    return this.#rest.length > 0 || this.#lines.length > 0
  }

  /** @returns the replies that are whole now, several lines parted by line feeds @throws NoReply */
  next(chunk: Buffer): string[] {
    const input = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const replies: string[] = []
    let start = 0
    for (let end = input.indexOf(LF); end >= 0; end = input.indexOf(LF, start)) {
      const reply = this.#line(input.toString('utf8', start, end > start && input[end - 1] === CR ? end - 1 : end))
      if (reply !== undefined) replies.push(reply)
      start = end + 1
    }
    this.#rest = start === input.length ? EMPTY : input.subarray(start)
    if (this.#octets + this.#rest.length > MAX_REPLY_OCTETS) throw new NoReply('The next host’s reply does not end')
    return replies
  }

  #line(line: string): string | undefined {
    const { code, more } = LINE.exec(line)?.groups ?? {}
    if (code === undefined || (this.#code !== undefined && code !== this.#code)) {
      throw new NoReply(`What the next host said is no reply: ${line.slice(0, SHOWN)}`)
    }
    this.#code = code
    this.#lines.push(line)
    this.#octets += line.length
    if (more === '-') return undefined
    const reply = this.#lines.join('\n')
    this.#lines = []
    this.#code = undefined
    this.#octets = 0
    return reply
  }
}
