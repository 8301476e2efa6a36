/**
 * Whether a message contains strings, as IMAP's SEARCH asks: without regard to case, in decoded headers and decoded text
 * parts, in one pass over the octets and in bounded memory.
 *
 * STANDARDS  RFC 9051 §6.4.4 (BODY, HEADER, TEXT); RFC 5051
 */
import { addressText } from './address-text.ts'
import { casemap } from './casemap.ts'
import { decodedText, type TextPiece, unfoldedFields } from './decoded-text.ts'
import { decodeWords } from './encoded-words.ts'
import type { MessagePart } from './structure.ts'

/** SEARCH has keys for those. */
const ADDRESS_FIELDS = ['from', 'to', 'cc', 'bcc']

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

export interface HeaderKey {
  field: string
  value: string
  /** As the envelope has the field, not as it was written: what BCC, CC, FROM, SUBJECT and TO ask for. */
  envelope?: boolean | undefined
}

/**
 * Whether a field of that name contains the value, unfolded and decoded. Of the envelope, Subject has one blank for each run of them,
 * and addresses are in one spelling. An empty value asks only for the field — RFC 9051 §6.4.4.
 */
export function headerContains(header: Uint8Array, { field, value, envelope = false }: HeaderKey): boolean {
  const name = field.toLowerCase()
  const needle = casemap(value)
  if (needle === '') return !unfoldedFields(header, [name]).next().done
  const form = envelope ? (ENVELOPE_FORMS.get(name) ?? asWritten) : asWritten
  for (const found of unfoldedFields(header, [name])) {
    if (casemap(decodeWords(form(found.value))).includes(needle)) return true
  }
  return false
}

const asWritten = (value: string): string => value
const withSingleBlanks = (value: string): string => value.replaceAll(/[ \t]+/g, ' ').replace(/^ /, '')

const ENVELOPE_FORMS: ReadonlyMap<string, (value: string) => string> = new Map([
  ['subject', withSingleBlanks],
  ...ADDRESS_FIELDS.map((name) => [name, addressText] as const),
])

/** The addresses of a header as `headerContains` looks at them, in the form they are compared in: a line for each field. */
export function foldedAddresses(header: Uint8Array): string {
  const texts = [...unfoldedFields(header, ADDRESS_FIELDS)].map(({ value }) => decodeWords(addressText(value)))
  return casemap(texts.join('\n'))
}
