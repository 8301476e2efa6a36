/** A body in parts of one size. */
export interface Part {
  bytes: Buffer
  /** Only the last may be shorter; an empty body has one, and it is empty. */
  isLast: boolean
}

/** Holds up to two parts in memory. */
export async function* inParts(body: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Part> {
  let held: Uint8Array[] = []
  let size = 0
  for await (const piece of body) {
    held.push(piece)
    size += piece.length
    // More than one: the last of all is known only when nothing follows.
    while (size > partBytes) {
      const all = Buffer.concat(held)
      yield { bytes: all.subarray(0, partBytes), isLast: false }
      held = [all.subarray(partBytes)]
      size -= partBytes
    }
  }
  yield { bytes: Buffer.concat(held), isLast: true }
}
