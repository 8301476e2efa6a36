/** A file that is opened when somebody reads it, stays open while it is in use, and rests when nobody was there for a while. */
import { readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

export class KeptFile {
  readonly #path: string
  #file: Promise<FileHandle> | undefined
  #users = 0
  #usedLately = false
  #closed = false

  constructor(path: string) {
    this.#path = path
  }

  async use<T>(work: (file: FileHandle) => Promise<T>): Promise<T> {
    this.#users++
    this.#usedLately = true
    try {
      return await work(await this.#opened())
    } finally {
      this.#users--
      if (this.#closed) await this.#release()
    }
  }

  /** Closes the file unless somebody used it since the last call. */
  async rest(): Promise<void> {
    const resting = !this.#usedLately
    this.#usedLately = false
    if (resting) await this.#release()
  }

  /** For good; who comes later opens it for that time only. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#release()
  }

  async #opened(): Promise<FileHandle> {
    const opening = (this.#file ??= open(this.#path, 'r'))
    try {
      return await opening
    } catch (cause) {
      if (this.#file === opening) this.#file = undefined
      throw cause
    }
  }

  async #release(): Promise<void> {
    if (this.#users > 0) return
    const file = this.#file
    this.#file = undefined
    await (await file)?.close()
  }
}

/** The octets `[offset, offset + length)`; fewer where the file is shorter. */
export async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

/** The same at once, with everybody waiting: for what is in memory anyway. */
export function readAtOnce(file: FileHandle, offset: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const bytesRead = readSync(file.fd, buffer, filled, length - filled, offset + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}
