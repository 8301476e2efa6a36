/**
 * The signature of a text: a bit for each run of three characters in it, at a place their hash says. A text that contains a string has
 * the bits of all the string's runs; one that has not all of them cannot contain it.
 *
 * About six bits to a different run, so that one in six other runs finds its bit set too; of a word's runs all of them hardly ever do.
 */

/** Bits of a signature for each different run: at least so many, less than twice as many. */
const BITS_PER_RUN = 4
/** Of the shortest one. */
const MIN_BITS = 64

export function signatureOf(text: string): Uint8Array {
  const hashes = hashesIn(text)
  let bits = MIN_BITS
  while (bits < hashes.size * BITS_PER_RUN) bits *= 2
  const signature = new Uint8Array(bits / 8)
  for (const hash of hashes) {
    // The length is a power of two. Of a byte PostgreSQL's get_bit counts the least bit first.
    const place = hash & (bits - 1)
    signature[place >>> 3] = (signature[place >>> 3] ?? 0) | (1 << (place & 7))
  }
  return signature
}

/** Of one run of three characters: 32 bits. */
export function hashOfRun(run: string): number {
  const [hash] = hashesIn(run)
  if (hash === undefined) throw new Error('fewer than three characters')
  return hash
}

function hashesIn(text: string): Set<number> {
  const hashes = new Set<number>()
  let [first, second] = [-1, -1]
  for (let at = 0; at < text.length;) {
    const third = text.codePointAt(at) ?? 0
    at += third > 0xffff ? 2 : 1
    if (first >= 0) hashes.add(mixed(first, second, third))
    first = second
    second = third
  }
  return hashes
}

/** The finish of MurmurHash3, over three code points. */
function mixed(first: number, second: number, third: number): number {
  let hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(second, 0x85ebca77) ^ Math.imul(third, 0xc2b2ae3d)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
