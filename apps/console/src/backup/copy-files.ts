/** Copies of files that others are using: bytes, digest, permissions; durable where it says so. */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, open, opendir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { failedWith, readRange, syncDirectory, writeAll } from '@postbus/blobs/files'

export interface SourceFile {
  path: string
  /** Never changes while it is there: a second name for it will do. */
  final: boolean
}

/**
 * Brings `to` up to what is listed now, and is cheap when much of it is there already. Files that grow are taken for unchanged while
 * their size is; one that went away meanwhile is left out.
 * @returns how many files were copied or linked
 */
export async function bringUp(from: string, to: string, files: AsyncIterable<SourceFile>): Promise<number> {
  let taken = 0
  for await (const { path, final } of files) {
    const [source, target] = [join(from, path), join(to, path)]
    const there = await sizeOf(target)
    if (there !== null && (final || there === (await sizeOf(source)))) continue
    await mkdir(dirname(target), { recursive: true })
    try {
      if (!(final && (await linked(source, target)))) await copied(source, target)
      taken++
    } catch (cause) {
      if (!failedWith(cause, 'ENOENT')) throw cause
    }
  }
  return taken
}

/** Takes out of `to` what is in `from` no longer. */
export async function dropGone(from: string, to: string): Promise<void> {
  for await (const path of filesBelow(to)) {
    if ((await sizeOf(join(from, path))) === null) await rm(join(to, path))
  }
}

/** Paths below a directory, in no order. */
export async function* filesBelow(dir: string, below = ''): AsyncGenerator<string> {
  for await (const entry of await opendir(join(dir, below))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory()) yield* filesBelow(dir, path)
    else if (entry.isFile()) yield path
  }
}

/** Makes every name below a directory durable. */
export async function syncTree(dir: string): Promise<void> {
  for await (const entry of await opendir(dir)) if (entry.isDirectory()) await syncTree(join(dir, entry.name))
  await syncDirectory(dir)
}

/** Reads all of a file. */
export async function digestOf(path: string): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of readRange(await open(path, 'r'), 0, Infinity)) {
    hash.update(piece)
    size += piece.length
  }
  return { sha256: hash.digest('hex'), size }
}

/** A durable copy that shares nothing with the original. @returns what was copied */
export async function copyWhole(from: string, to: string, mode: number): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  const file = await open(to, 'wx', mode)
  try {
    for await (const piece of readRange(await open(from, 'r'), 0, Infinity)) {
      await writeAll(file, piece)
      hash.update(piece)
      size += piece.length
    }
    await file.chmod(mode)
    await file.sync()
  } finally {
    await file.close()
  }
  return { sha256: hash.digest('hex'), size }
}

async function linked(source: string, target: string): Promise<boolean> {
  try {
    await link(source, target)
    return true
  } catch (cause) {
    // Another file system, or one without links.
    if (failedWith(cause, 'EXDEV', 'EMLINK', 'EPERM', 'ENOTSUP')) return false
    throw cause
  }
}

async function copied(source: string, target: string): Promise<void> {
  await copyFile(source, target, constants.COPYFILE_FICLONE)
  const file = await open(target, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size
  } catch (cause) {
    if (failedWith(cause, 'ENOENT')) return null
    throw cause
  }
}
