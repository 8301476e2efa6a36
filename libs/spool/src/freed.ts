/**
 * Tombstones: what was freed of one segment. Little-endian, 32 octets each:
 *
 *   offset  octets
 *        0      26  queue id, ASCII; 26 × "-" from when on records of the segment may have been copied out
 *       26       2  0
 *       28       4  CRC-32 of octets 0–27
 *
 * Each keeper appends to files of its own below freed/<segment>/, and never again to one that could not be synced. A damaged
 * tombstone is one that was not promised.
 */
import { mkdir, open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

import { QueueId } from '@postbus/contracts'
import { failedWith } from '@postbus/blobs/files'

import { type Disk, type DiskFile, writeFully } from './disk.ts'
import { freedPath, type Layout } from './layout.ts'

const TOMBSTONE_BYTES = 32
const COPYING = '-'.repeat(26)

export class FreedRecords {
  readonly ids = new Set<QueueId>()
  #copying = false
  readonly #layout: Layout
  readonly #segment: string
  #file: DiskFile | undefined
  #size = 0

  private constructor(layout: Layout, segment: string) {
    this.#layout = layout
    this.#segment = segment
  }

  /** What stands there now, durable or not. For those who look. Of a segment that is being taken away it may be any part. */
  static async read(layout: Layout, segment: string): Promise<FreedRecords> {
    const freed = new FreedRecords(layout, segment)
    const directory = freedPath(layout, segment)
    for (const name of await namesIn(directory)) {
      const bytes = await unlessGone(readFile(join(directory, name)))
      if (bytes !== undefined) freed.#take(bytes)
    }
    return freed
  }

  /**
   * What stands there now, made durable: a keeper that was killed may have written tombstones that it did not live to sync, and
   * freeing a record again must not rely on those.
   */
  static async load(layout: Layout, disk: Disk, segment: string): Promise<FreedRecords> {
    const directory = freedPath(layout, segment)
    const names = await namesIn(directory)
    for (const name of names) await unlessGone(syncFile(join(directory, name)))
    if (names.length > 0) {
      await unlessGone(disk.syncDirectory(directory))
      await disk.syncDirectory(layout.freed)
    }
    return await FreedRecords.read(layout, segment)
  }

  /** Records of the segment may lie in files of their own as well. */
  get copying(): boolean {
    return this.#copying
  }

  /** Durable when it resolves. */
  async add(ids: readonly QueueId[], disk: Disk, keeper: string): Promise<void> {
    const fresh = ids.filter((id) => !this.ids.has(id))
    await this.#append(fresh, disk, keeper)
    for (const id of fresh) this.ids.add(id)
  }

  async beginCopying(disk: Disk, keeper: string): Promise<void> {
    if (this.#copying) return
    await this.#append([COPYING], disk, keeper)
    this.#copying = true
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    this.#size = 0
    await file?.close()
  }

  async #append(ids: readonly string[], disk: Disk, keeper: string): Promise<void> {
    if (ids.length === 0) return
    const file = (this.#file ??= await this.#create(disk, keeper))
    const bytes = Buffer.concat(ids.map(encode))
    try {
      await writeFully(file, [bytes], this.#size)
      await file.datasync()
      this.#size += bytes.length
    } catch (cause) {
      // Never again this file; and nobody may take what it could not keep for tombstones.
      await file.truncate(this.#size).catch(() => {})
      await this.close()
      throw cause
    }
  }

  async #create(disk: Disk, keeper: string): Promise<DiskFile> {
    const directory = freedPath(this.#layout, this.#segment)
    await mkdir(directory, { recursive: true })
    // Evicted from memory and loaded again, a keeper finds its own earlier files here.
    const number = (await namesIn(directory)).filter((name) => name.startsWith(keeper)).length
    const file = await disk.create(join(directory, `${keeper}-${number}.freed`))
    await disk.syncDirectory(directory)
    await disk.syncDirectory(this.#layout.freed)
    return file
  }

  #take(bytes: Buffer): void {
    for (let at = 0; at + TOMBSTONE_BYTES <= bytes.length; at += TOMBSTONE_BYTES) {
      if (bytes.readUInt32LE(at + 28) !== crc32(bytes.subarray(at, at + 28))) continue
      const id = bytes.toString('latin1', at, at + 26)
      if (id === COPYING) this.#copying = true
      else this.ids.add(QueueId.parse(id))
    }
  }
}

function encode(id: string): Buffer {
  const buffer = Buffer.alloc(TOMBSTONE_BYTES)
  buffer.write(id, 0, 26, 'latin1')
  buffer.writeUInt32LE(crc32(buffer.subarray(0, 28)), 28)
  return buffer
}

const namesIn = async (directory: string): Promise<string[]> => (await unlessGone(readdir(directory))) ?? []

/** Tombstones go with their segment, after it; another keeper may be at it. */
async function unlessGone<Result>(look: Promise<Result>): Promise<Result | undefined> {
  try {
    return await look
  } catch (cause) {
    if (failedWith(cause, 'ENOENT')) return undefined
    throw cause
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}
