/**
 * The text of a message as an index of substrings needs it: every string that `searchText` finds in one part stands in it
 * in one piece, and so does every address that `headerContains` finds. What crosses from a header into the body below it is
 * the exception, and holds a line end.
 *
 * STANDARDS  RFC 9051 §6.4.4 (BODY, TEXT)
 */
import type { TextPiece } from './decoded-text.ts'
import { foldedAddresses, foldedText } from './search-text.ts'
import type { MessagePart } from './structure.ts'

/** In the form strings are compared in (casemap). */
export interface IndexText {
  /** Every header, that of the message and those of parts, then the addresses of the message as SEARCH knows them. */
  headers: string
  /** The text parts. */
  bodies: string
}

/** Between texts that are not one. */
const GAP = '\n\n'

/** Null if there are more than `maxCharacters`; reading stops then. */
export async function indexText(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  root: MessagePart,
  maxCharacters: number,
): Promise<IndexText | null> {
  const texts = { headers: '', bodies: '' }
  let last: TextPiece | undefined
  for await (const piece of foldedText(chunks, root)) {
    const { of, part, text, octets } = piece
    const into = of === 'body' ? 'bodies' : 'headers'
    const goesOn = last?.part === part && last.of === of
    texts[into] += goesOn || texts[into] === '' ? text : GAP + text
    const addresses = of === 'header' && octets !== undefined ? foldedAddresses(octets) : ''
    if (addresses !== '') texts.headers += GAP + addresses
    last = piece
    if (texts.headers.length + texts.bodies.length > maxCharacters) return null
  }
  return texts
}
