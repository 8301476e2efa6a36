/**
 * transcript — play a scripted conversation against a listening port. A failure names file and line of the script.
 *
 *   C: text         the client sends the line, with CRLF; neighbouring lines of the client travel in one write
 *   C= "bytes"      the client sends exactly these bytes: a JSON string, each character one byte (U+0000 to U+00FF)
 *   S: regexp       the server's next line must match, from its beginning to its end
 *   S* regexp       lines of the server are skipped until one matches
 *   S= "bytes"      the server's next bytes must be exactly these
 *   TLS             the TLS handshake happens now
 *   DEFLATE         both sides compress from now on
 *   CLOSED          the server closes, and sends nothing more before
 *   # text          a comment; name the RFC section that the lines below hold us to
 *
 * `C2:`, `S2:`, `TLS2` and so on speak on further connections, opened when first named. A named group `(?<uid>…)` of
 * an `S` line may be used in later lines as `${uid}`.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Conversation, type ConversationOptions } from './conversation.ts'

export interface TranscriptOptions extends ConversationOptions {
  /** Values for `${name}` in the script. */
  variables?: Record<string, string>
}

const STEP = /^(?:([CS])(\d?)([:=*])(?: (.*))?|(TLS|DEFLATE|CLOSED)(\d?))$/

export async function playTranscript(path: string | URL, options: TranscriptOptions | number): Promise<void> {
  const settings = typeof options === 'number' ? { port: options } : options
  const script = await readFile(path, 'utf8')
  const file = basename(path instanceof URL ? fileURLToPath(path) : path)
  await new Player(file, settings).play(script)
}

class Player {
  readonly #file: string
  readonly #options: TranscriptOptions
  readonly #variables: Map<string, string>
  readonly #connections = new Map<string, Conversation>()
  readonly #unsent = new Map<string, Buffer[]>()

  constructor(file: string, options: TranscriptOptions) {
    this.#file = file
    this.#options = options
    this.#variables = new Map(Object.entries(options.variables ?? {}))
  }

  async play(script: string): Promise<void> {
    try {
      for (const [index, line] of script.split('\n').entries()) {
        if (line === '' || line.startsWith('#')) continue
        await this.#step(line, `${this.#file}:${index + 1}`)
      }
      this.#flush()
    } finally {
      await Promise.all([...this.#connections.values()].map((connection) => connection.close()))
    }
  }

  async #step(line: string, where: string): Promise<void> {
    const match = STEP.exec(line) ?? assert.fail(`${where}: not a line of a transcript`)
    const [, side, number = '', kind, text = '', verb, verbNumber = ''] = match
    const name = verb === undefined ? number : verbNumber
    const connection = await this.#connection(name)
    if (side === 'C') {
      const bytes = kind === '=' ? exactBytes(text, where) : Buffer.from(`${this.#expand(text, false)}\r\n`)
      this.#unsent.set(name, [...(this.#unsent.get(name) ?? []), bytes])
      return
    }
    this.#flush()
    try {
      if (verb === 'TLS') await connection.startTls()
      else if (verb === 'DEFLATE') connection.compress()
      else if (verb === 'CLOSED') assert.equal(await connection.rest(), '', where)
      else if (kind === '=') await this.#expectBytes(connection, exactBytes(text, where), where)
      else await this.#expectLine(connection, text, kind === '*', where)
    } catch (cause) {
      if (cause instanceof assert.AssertionError) throw cause
      assert.fail(`${where}: ${String(cause)}; pending: ${JSON.stringify(connection.pending)}`)
    }
  }

  async #connection(name: string): Promise<Conversation> {
    const open = this.#connections.get(name) ?? (await Conversation.open(this.#options))
    this.#connections.set(name, open)
    return open
  }

  #flush(): void {
    for (const [name, lines] of this.#unsent) this.#connections.get(name)?.write(Buffer.concat(lines))
    this.#unsent.clear()
  }

  async #expectLine(connection: Conversation, text: string, skipping: boolean, where: string): Promise<void> {
    const pattern = new RegExp(`^(?:${this.#expand(text, true)})$`, 'u')
    const skipped: string[] = []
    for (;;) {
      const line = await connection.line()
      if (line === null) {
        const why = connection.fault === null ? '' : ` (${connection.fault.message})`
        assert.fail(`${where}: server closed${why}, wanted ${text}${skipped.map((s) => `\n  skipped ${s}`).join('')}`)
      }
      const match = pattern.exec(line)
      if (match !== null) {
        for (const [key, value] of Object.entries(match.groups ?? {})) this.#variables.set(key, value ?? '')
        return
      }
      if (!skipping) assert.fail(`${where}: server said ${JSON.stringify(line)}, wanted ${text}`)
      skipped.push(line)
    }
  }

  async #expectBytes(connection: Conversation, wanted: Buffer, where: string): Promise<void> {
    const bytes = await connection.bytes(wanted.length)
    assert.equal(bytes?.toString('latin1') ?? `closed after ${connection.pending}`, wanted.toString('latin1'), where)
  }

  #expand(text: string, forPattern: boolean): string {
    return text.replaceAll(/\$\{(\w+)\}/g, (whole, name: string) => {
      const value = this.#variables.get(name)
      if (value === undefined) return whole
      return forPattern ? value.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&') : value
    })
  }
}

function exactBytes(text: string, where: string): Buffer {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'string' || /[^\u0000-\u00ff]/.test(value)) {
    assert.fail(`${where}: not a JSON string of bytes`)
  }
  return Buffer.from(value, 'latin1')
}
