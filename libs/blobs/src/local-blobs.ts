/**
 * Blobs as files below one directory.
 *
 * A blob appears under its key complete or not at all: bytes go to a temporary file of the same file system, are synced,
 * and get their name by `link`, which refuses a name that is taken. The name is durable when its directory is synced.
 */
import { randomUUID } from 'node:crypto'
import { type FileHandle, link, mkdir, open, opendir, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import { BlobExists, type BlobStore, BlobTooLarge, NoSuchBlob } from './blobs.ts'
import { failedWith, makeDirectory, readRange, syncDirectory, writeAll } from './files.ts'
import { keyPath, TEMPORARY } from './key-path.ts'
import { listBlobs } from './list-blobs.ts'

/** The directory is created when it is missing. */
export function localBlobs(dir: string): BlobStore {
  const pathOf = (key: string): string => {
    const { directory, name } = keyPath(key)
    return join(dir, directory, name)
  }

  /** Directories that are there with durable names, all the way up; others may have made them and not flushed them yet. */
  const made = new Map<string, Promise<void>>()

  function madeDurably(directory: string): Promise<void> {
    const known = made.get(directory)
    if (known !== undefined) return known
    const making = makeNamed(resolve(directory), dirname(resolve(dir)))
    made.set(directory, making)
    making.catch(() => made.delete(directory))
    return making
  }

  /** Gives a finished file its name. */
  async function publish(file: string, key: string, durable: boolean): Promise<void> {
    const directory = join(dir, keyPath(key).directory)
    const path = pathOf(key)
    await madeDurably(directory)
    try {
      await link(file, path)
    } catch (cause) {
      if (failedWith(cause, 'EEXIST')) throw new BlobExists(`${key} exists`, { cause })
      if (!failedWith(cause, 'ENOENT')) throw cause
      // Somebody took the directory away.
      made.delete(directory)
      await madeDurably(directory)
      await link(file, path)
    }
    if (durable) await syncDirectory(directory)
  }

  async function put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: { maxBytes?: number; durable?: boolean } = {},
  ): Promise<{ size: number }> {
    keyPath(key)
    const { maxBytes = Infinity, durable = true } = options
    const { path, file } = await temporary(dir)
    try {
      const size = await fill(file, body, maxBytes)
      if (durable) await file.sync()
      await publish(path, key, durable)
      return { size }
    } finally {
      await file.close()
      await rm(path, { force: true })
    }
  }

  async function* read(key: string, range?: { offset: number; length?: number }): AsyncGenerator<Uint8Array> {
    const { offset = 0, length = Infinity } = range ?? {}
    yield* readRange(await openBlob(pathOf(key), key), offset, offset + length)
  }

  /** A second name for a file, whose bytes are made durable first. False where the file system cannot. */
  async function linkFile(path: string, key: string, name: string): Promise<boolean> {
    const file = await openBlob(path, name)
    try {
      await file.sync()
      await publish(path, key, true)
      return true
    } catch (cause) {
      if (failedWith(cause, 'EXDEV', 'EMLINK')) return false
      if (!(cause instanceof BlobExists) || !(await sameFile(path, pathOf(key)))) throw cause
      // An earlier run may have died between the link and this.
      await syncDirectory(join(dir, keyPath(key).directory))
      return true
    } finally {
      await file.close()
    }
  }

  return {
    put,
    read,
    async size(key) {
      const { size } = await found(stat(pathOf(key)), key)
      return size
    },
    async link(from, to) {
      if (await linkFile(pathOf(from), to, from)) return
      await put(to, readRange(await openBlob(pathOf(from), from), 0, Infinity))
    },
    adopt: async (key, place) => place.kind === 'file' && (await linkFile(place.path, key, place.path)),
    async delete(key) {
      const path = pathOf(key)
      try {
        await unlink(path)
      } catch (cause) {
        if (!failedWith(cause, 'ENOENT')) throw cause
        return
      }
      await syncDirectory(join(dir, keyPath(key).directory))
    },
    list: (prefix) => listBlobs(dir, prefix),
    sweep: (olderThan) => sweepTemporary(join(dir, TEMPORARY), olderThan),
    close: async () => {},
  }
}

/** Makes a directory and flushes its name and those above it, up to the names in `top`, whoever made them. Absolute paths. */
async function makeNamed(path: string, top: string): Promise<void> {
  await mkdir(path, { recursive: true })
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    await syncDirectory(parent)
    if (parent === top) return
  }
}

async function temporary(dir: string): Promise<{ path: string; file: FileHandle }> {
  const path = join(dir, TEMPORARY, randomUUID())
  try {
    return { path, file: await open(path, 'wx') }
  } catch (cause) {
    if (!failedWith(cause, 'ENOENT')) throw cause
    await makeDirectory(join(dir, TEMPORARY))
    return { path, file: await open(path, 'wx') }
  }
}

async function fill(file: FileHandle, body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw new BlobTooLarge(`more than ${maxBytes} octets`)
    await writeAll(file, chunk)
  }
  return size
}

async function openBlob(path: string, name: string): Promise<FileHandle> {
  return await found(open(path, 'r'), name)
}

async function found<T>(result: Promise<T>, name: string): Promise<T> {
  try {
    return await result
  } catch (cause) {
    if (failedWith(cause, 'ENOENT', 'ENOTDIR')) throw new NoSuchBlob(`no blob ${name}`, { cause })
    throw cause
  }
}

async function sameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([stat(one, { bigint: true }), stat(other, { bigint: true })])
  return a.dev === b.dev && a.ino === b.ino
}

async function sweepTemporary(directory: string, olderThan: Date): Promise<number> {
  let removed = 0
  try {
    for await (const { name } of await opendir(directory)) {
      const path = join(directory, name)
      const modifiedAt = await stat(path).then(
        ({ mtime }) => mtime,
        () => null, // Finished at this moment.
      )
      if (modifiedAt === null || modifiedAt >= olderThan) continue
      await rm(path, { force: true })
      removed++
    }
  } catch (cause) {
    if (!failedWith(cause, 'ENOENT')) throw cause
  }
  return removed
}
