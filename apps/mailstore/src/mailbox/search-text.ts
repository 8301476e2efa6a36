/** The keys of a search program that need a message's text, answered for one message with one pass over its octets. */
import type { SearchKey } from '@postbus/contracts'
import { casemap, headerContains, type HeaderKey, searchText, type TextKey, unpackStructure } from '@postbus/message'

import { type HeldContent, MAX_HEADER_BYTES } from './sections.ts'

export interface MessageText {
  header(key: HeaderKey): Promise<boolean>
  body(value: string): Promise<boolean>
  text(value: string): Promise<boolean>
}

/** Every BODY and TEXT key of a program. */
export function textKeysOf(key: SearchKey): TextKey[] {
  return textPartsOf(key).flatMap((part) => (part.kind === 'header' ? [] : { in: part.kind, value: part.value }))
}

/** Every key of a program that asks for text. */
export function textPartsOf(key: SearchKey): Extract<SearchKey, { kind: 'header' | 'body' | 'text' }>[] {
  switch (key.kind) {
    case 'header':
    case 'body':
    case 'text':
      return [key]
    case 'not':
      return textPartsOf(key.key)
    case 'and':
    case 'or':
      return key.keys.flatMap(textPartsOf)
    default:
      return []
  }
}

/** Whether the fields put in front of a content hold the text. */
export function prefixContains(prefix: Uint8Array, value: string): boolean {
  return casemap(Buffer.from(prefix).toString()).includes(casemap(value))
}

/** @param keys all that may be asked: the octets are read once for all of them, when the first is */
export function messageText(content: HeldContent, keys: readonly TextKey[]): MessageText {
  const { prefix, header } = content
  let answers: Promise<boolean[]> | undefined

  async function contains(where: TextKey['in'], value: string): Promise<boolean> {
    answers ??= searchText(content.octets(), unpackStructure(content.structure), keys)
    const found = await answers
    return keys.some((key, index) => key.in === where && key.value === value && found[index])
  }

  async function wholeHeader(): Promise<Uint8Array> {
    return header.length < content.headerSize ? content.read(0, Math.min(content.headerSize, MAX_HEADER_BYTES)) : header
  }

  return {
    header: async (key) => headerContains(Buffer.concat([prefix, await wholeHeader()]), key),
    body: (value) => contains('body', value),
    // Return-Path and Delivered-To stand before the content and belong to the header.
    text: async (value) => prefixContains(prefix, value) || contains('text', value),
  }
}
