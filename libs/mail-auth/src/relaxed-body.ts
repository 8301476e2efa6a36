/**
 * The hash of a body under the `relaxed` canonicalization, in one pass: a line is never held, however long, and runs of empty
 * lines are only counted.
 *
 * STANDARDS  RFC 6376 §3.4.4, §3.7
 */
import { createHash } from 'node:crypto'

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20

/** Canonical octets are collected up to so many before they are hashed. */
const BLOCK_BYTES = 16_384

export class RelaxedBodyHash {
  readonly #hash = createHash('sha256')
  readonly #block = Buffer.allocUnsafe(BLOCK_BYTES)
  #filled = 0
  /** A CR that may begin a line end. */
  #afterCr = false
  /** Blanks that count as one, or as none at the end of a line. */
  #afterBlank = false
  /** Line ends that count only if something comes after them. */
  #lineEnds = 0
  #empty = true

  update(chunk: Uint8Array): void {
    for (const octet of chunk) {
      if (this.#afterCr) {
        this.#afterCr = false
        if (octet === LF) {
          this.#afterBlank = false
          this.#lineEnds++
          continue
        }
        this.#content(CR)
      }
      if (octet === CR) this.#afterCr = true
      else if (octet === SPACE || octet === TAB) this.#afterBlank = true
      else this.#content(octet)
    }
  }

  /** Base64. Nothing may be added afterwards. */
  digest(): string {
    if (this.#afterCr) this.#content(CR)
    // A body that is not empty ends with one line end, whether or not it had one; an empty one stays empty — RFC 6376 §3.4.4.
    if (!this.#empty) this.#lineEnd()
    return this.#hash.update(this.#block.subarray(0, this.#filled)).digest('base64')
  }

  #content(octet: number): void {
    for (; this.#lineEnds > 0; this.#lineEnds--) this.#lineEnd()
    if (this.#afterBlank) this.#put(SPACE)
    this.#afterBlank = false
    this.#put(octet)
    this.#empty = false
  }

  #lineEnd(): void {
    this.#put(CR)
    this.#put(LF)
  }

  #put(octet: number): void {
    if (this.#filled === BLOCK_BYTES) {
      this.#hash.update(this.#block)
      this.#filled = 0
    }
    this.#block[this.#filled++] = octet
  }
}
