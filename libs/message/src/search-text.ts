/**
 * Whether a message contains strings, as IMAP's SEARCH asks: without regard to case, in decoded headers and decoded text
 * parts, in one pass over the octets and in bounded memory.
 *
 * STANDARDS  RFC 9051 §6.4.4 (BODY, HEADER, TEXT); RFC 5051
 */
import { casemap } from './casemap.ts'
import { decodedFields, decodedText, type TextPiece } from './decoded-text.ts'
import type { MessagePart } from './structure.ts'

export interface TextKey {
  /** `body`: the text parts; `text`: also every header, that of the message and those of parts. */
  in: 'body' | 'text'
  value: string
}

/** For each key whether the message contains it. Reading stops as soon as every answer is known to be yes. */
export async function searchText(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  root: MessagePart,
  keys: readonly TextKey[],
): Promise<boolean[]> {
  const finders = keys.map((key) => new Finder(casemap(key.value)))
  const headers = keys.some((key) => key.in === 'text')
  for await (const { of, part, text } of foldedText(chunks, root, { headers })) {
    keys.forEach((key, index) => {
      if (key.in === 'text' || of === 'body') finders[index]?.look(text, part)
    })
    if (finders.every((finder) => finder.found)) break
  }
  return finders.map((finder) => finder.found)
}

/** What is looked at, in the form it is compared in. Without `headers` bodies only. */
export async function* foldedText(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  root: MessagePart,
  of: { headers?: boolean } = {},
): AsyncGenerator<TextPiece> {
  for await (const piece of decodedText(chunks, root, of)) yield { ...piece, text: casemap(piece.text) }
}

/** Finds a string in pieces of a text, also where it is cut between two. */
class Finder {
  found: boolean
  readonly #needle: string
  #tail = ''
  #part: MessagePart | undefined

  constructor(needle: string) {
    this.#needle = needle
    this.found = needle === ''
  }

  look(text: string, part: MessagePart): void {
    if (this.found) return
    const before = part === this.#part ? this.#tail : ''
    const whole = before + text
    this.found = whole.includes(this.#needle)
    this.#tail = this.#needle.length > 1 ? whole.slice(1 - this.#needle.length) : ''
    this.#part = part
  }
}

/**
 * HEADER: whether a field of that name contains the value, decoded and unfolded. Runs of blanks, which come from folding,
 * count as one unless the value has them too. An empty value asks only for the field — RFC 9051 §6.4.4.
 */
export function headerContains(header: Uint8Array, name: string, value: string): boolean {
  const needle = casemap(value)
  for (const field of decodedFields(header, name.toLowerCase())) {
    const text = casemap(field.value)
    if (text.includes(needle) || text.replaceAll(/[ \t]+/g, ' ').includes(needle)) return true
  }
  return false
}
