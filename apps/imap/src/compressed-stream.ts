/**
 * A connection whose octets are DEFLATE in both directions. What is written together is flushed together, so that nothing a
 * client waits for stays in the compressor.
 *
 * Bounded however well a client compresses: inflated octets are made only while somebody reads them, and what we send is made
 * with a window small enough for thousands of connections.
 *
 * STANDARDS  RFC 4978, RFC 1951
 */
import { Duplex } from 'node:stream'
import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from 'node:zlib'

/** 4 KiB of window and hash tables of 16 KiB: responses repeat themselves at short distances. */
const COMPRESSING = { windowBits: 12, memLevel: 5, chunkSize: 4096 }
/** A client may use the largest window there is. The stream may end anywhere: clients just close. */
const EXPANDING = { windowBits: 15, chunkSize: 4096, finishFlush: constants.Z_SYNC_FLUSH }
const BUFFERED_BYTES = 16 * 1024

export class CompressedStream extends Duplex {
  readonly #plain: Duplex
  readonly #deflate: DeflateRaw
  readonly #inflate: InflateRaw

  /** @param begun octets of the client that were taken from `plain` already */
  constructor(plain: Duplex, begun: Uint8Array) {
    super({ readableHighWaterMark: BUFFERED_BYTES, writableHighWaterMark: BUFFERED_BYTES })
    this.#plain = plain
    this.#deflate = createDeflateRaw(COMPRESSING)
    this.#inflate = createInflateRaw(EXPANDING)
    this.#inflate.on('data', (octets: Uint8Array) => {
      if (!this.push(octets)) this.#inflate.pause()
    })
    this.#inflate.once('end', () => this.push(null))
    for (const half of [this.#inflate, this.#deflate]) half.on('error', (cause) => this.destroy(cause))
    plain.once('close', () => this.destroy())
    this.#deflate.pipe(plain, { end: false })
    if (begun.length > 0) this.#inflate.write(begun)
    plain.pipe(this.#inflate)
  }

  override _read(): void {
    this.#inflate.resume()
  }

  override _write(octets: Uint8Array, _encoding: BufferEncoding, done: (cause?: Error | null) => void): void {
    this.#send(octets, done)
  }

  override _writev(pieces: readonly { chunk: Uint8Array }[], done: (cause?: Error | null) => void): void {
    this.#send(Buffer.concat(pieces.map(({ chunk }) => chunk)), done)
  }

  #send(octets: Uint8Array, done: (cause?: Error | null) => void): void {
    if (octets.length === 0) return void this.#plain.write(octets, done)
    this.#deflate.write(octets)
    this.#deflate.flush(constants.Z_SYNC_FLUSH, () => this.#handedOn(done))
  }

  override _destroy(cause: Error | null, done: (cause: Error | null) => void): void {
    this.#plain.unpipe(this.#inflate)
    this.#inflate.destroy()
    this.#deflate.destroy()
    this.#plain.destroy()
    done(cause)
  }

  /** When the system has all that was made of it, as a socket's own callback says. */
  #handedOn(done: (cause?: Error | null) => void): void {
    if (this.#deflate.readableLength === 0) this.#plain.write(NOTHING, done)
    else this.#deflate.once('data', () => this.#handedOn(done))
  }
}

const NOTHING = new Uint8Array(0)
