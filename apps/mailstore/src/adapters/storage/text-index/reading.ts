/** The texts of contents, as far as one step of indexing reads. */
import { indexText, type IndexText, unpackStructure } from '@postbus/message'

import type { NumberedContent } from '../reads/contents.ts'

/** Longer texts are not indexed, but looked at by every search: characters. */
const MAX_TEXT = 2 * 1024 * 1024
/** A step ends when it has read so much: characters. */
const STEP_TEXT = 1024 * 1024
/** Contents of one step. */
export const STEP_CONTENTS = 200

export interface ReadText {
  content: number
  /** Null: not to be indexed. */
  text: IndexText | null
}

export interface ReadTexts {
  read: ReadText[]
  unreadable: number
  /** It was enough for one step before the contents ended. */
  more: boolean
}

export async function readTexts(contents: AsyncIterable<NumberedContent>): Promise<ReadTexts> {
  const read: ReadText[] = []
  let unreadable = 0
  let characters = 0
  for await (const { content, octets, structure } of contents) {
    let text: IndexText | null = null
    try {
      text = await indexText(octets(), unpackStructure(structure), MAX_TEXT)
    } catch {
      unreadable++
    }
    read.push({ content, text })
    characters += text === null ? MAX_TEXT : text.headers.length + text.bodies.length
    if (characters >= STEP_TEXT) return { read, unreadable, more: true }
  }
  return { read, unreadable, more: false }
}
