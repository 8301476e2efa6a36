/**
 * One IMAP connection whose answers are read to the last octet: commands as octets, responses as values that can be
 * compared strictly. For holding two servers beside each other; a client it is not.
 *
 * STANDARDS  RFC 9051 §2.2, §4, §9
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** NIL is null, a string its octets as characters U+0000–U+00FF, a list an array; the rest is an atom or a number. */
export type Value = null | string | number | Atom | Value[]

/** Text that stood without quotes, such as `FLAGS`, `\Seen`, `BODY[1.MIME]<0>`. */
export interface Atom {
  atom: string
}

export interface Answer {
  status: 'OK' | 'NO' | 'BAD'
  /** What follows the status in the tagged line. */
  text: string
  /** Each untagged response, without `* ` and CRLF, literals included. */
  untagged: Buffer[]
}

export class ImapDialogue {
  readonly #socket: Socket
  #received: Buffer[] = []
  #length = 0
  #closed = false
  #wake: () => void = () => {}
  #tag = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk)
      this.#length += chunk.length
      this.#wake()
    })
    socket.on('error', () => {}) // Seen as the close that follows.
    socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  /** Connected without TLS, greeted and logged in. */
  static async open(port: number, user: string, password: string): Promise<ImapDialogue> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    const dialogue = new ImapDialogue(socket)
    await dialogue.#response()
    await dialogue.ok(`LOGIN ${user} ${password}`)
    return dialogue
  }

  /** Literals are announced as non-synchronising ones: both servers take LITERAL+. */
  async command(...parts: readonly (string | Buffer)[]): Promise<Answer> {
    const tag = `d${++this.#tag}`
    const octets: Buffer[] = [Buffer.from(`${tag} `)]
    for (const part of parts) {
      if (typeof part === 'string') octets.push(Buffer.from(part, 'latin1'))
      else octets.push(Buffer.from(`{${part.length}+}\r\n`), part)
    }
    this.#socket.write(Buffer.concat([...octets, Buffer.from('\r\n')]))
    const untagged: Buffer[] = []
    for (;;) {
      const response = await this.#response()
      const line = response.toString('latin1')
      if (line.startsWith('* ')) untagged.push(response.subarray(2))
      else if (line.startsWith(`${tag} `)) return { ...tagged(line.slice(tag.length + 1)), untagged }
      else if (!line.startsWith('+')) throw new Error(`not asked for: ${line}`)
    }
  }

  /** @throws when the answer is not OK */
  async ok(...parts: readonly (string | Buffer)[]): Promise<Buffer[]> {
    const { status, text, untagged } = await this.command(...parts)
    if (status === 'OK') return untagged
    throw new Error(`${status} ${text} to ${parts.map(String).join('').slice(0, 200)}`)
  }

  close(): void {
    this.#socket.destroy()
  }

  /** A line with the literals in it, without its CRLF. */
  async #response(): Promise<Buffer> {
    for (let scanned = 0; ;) {
      const held = this.#held()
      const lf = held.indexOf('\n', scanned)
      if (lf < 0) {
        await this.#more()
        continue
      }
      const announced = /\{(\d+)\}\r$/.exec(held.toString('latin1', Math.max(scanned, lf - 20), lf))
      if (announced === null) {
        this.#received = [held.subarray(lf + 1)]
        this.#length = held.length - lf - 1
        return held.subarray(0, lf - 1)
      }
      scanned = lf + 1 + Number(announced[1])
      while (this.#length < scanned) await this.#more()
    }
  }

  #held(): Buffer {
    const [only, ...others] = this.#received
    const held = only !== undefined && others.length === 0 ? only : Buffer.concat(this.#received)
    this.#received = [held]
    return held
  }

  async #more(): Promise<void> {
    if (this.#closed) throw new Error(`the server closed the connection after: ${this.#held().toString('latin1')}`)
    await new Promise<void>((resolve) => (this.#wake = resolve))
  }
}

function tagged(line: string): Pick<Answer, 'status' | 'text'> {
  const [, status, text = ''] = /^(OK|NO|BAD)\b ?([^]*)$/.exec(line) ?? []
  if (status !== 'OK' && status !== 'NO' && status !== 'BAD') throw new Error(`no tagged answer: ${line}`)
  return { status, text }
}

/** The items of `n FETCH (…)` by name; undefined for another response. */
export function fetchItems(response: Buffer): { number: number; items: Map<string, Value> } | undefined {
  const text = response.toString('latin1')
  const head = /^(\d+) FETCH /.exec(text)
  if (head === null) return undefined
  const list = parseValue(text.slice(head[0].length))
  if (!Array.isArray(list)) throw new Error(`FETCH without a list: ${text}`)
  const items = new Map<string, Value>()
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at]
    if (name === null || typeof name !== 'object' || Array.isArray(name)) throw new Error(`no item name in ${text}`)
    items.set(name.atom, list[at + 1] ?? null)
  }
  return { number: Number(head[1]), items }
}

/** One value that takes the whole text. */
export function parseValue(text: string): Value {
  const open: Value[][] = [[]]
  const add = (value: Value): void => void open.at(-1)?.push(value)
  for (let at = 0; at < text.length;) {
    const character = text.charAt(at)
    if (character === ' ') at++
    else if (character === '(') {
      open.push([])
      at++
    } else if (character === ')') {
      const list = open.pop()
      if (list === undefined || open.length === 0) throw new Error(`unbalanced: ${text}`)
      add(list)
      at++
    } else {
      const { value, end } = scalar(text, at)
      add(value)
      at = end
    }
  }
  const [top = []] = open
  if (open.length !== 1 || top.length !== 1) throw new Error(`not one value: ${text}`)
  return top[0] ?? null
}

const QUOTED = /"((?:[^"\\\r\n]|\\["\\])*)"/y
const LITERAL = /~?\{(\d+)\}\r\n/y
/** A section may hold a list of names: BODY[HEADER.FIELDS (A B)]<0>. */
const ATOM = /[^ ()"{[]+(?:\[[^\]]*\](?:<\d+>)?)?/y

function scalar(text: string, at: number): { value: Value; end: number } {
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    return pattern.exec(text)
  }
  const quoted = match(QUOTED)
  if (quoted !== null) return { value: (quoted[1] ?? '').replaceAll(/\\(.)/g, '$1'), end: at + quoted[0].length }
  const literal = match(LITERAL)
  if (literal !== null) {
    const start = at + literal[0].length
    const end = start + Number(literal[1])
    if (end > text.length) throw new Error(`a literal is cut off: ${text}`)
    return { value: text.slice(start, end), end }
  }
  const atom = match(ATOM)?.[0]
  if (atom === undefined) throw new Error(`no value at ${at} of ${text}`)
  const value = atom.toUpperCase() === 'NIL' ? null : /^\d+$/.test(atom) ? Number(atom) : { atom }
  return { value, end: at + atom.length }
}
