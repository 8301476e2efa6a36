/**
 * A backup becomes a data directory again: verified while it is copied, put in its place whole, and never over something that runs.
 *
 * What is copied shares no bytes with the backup. It lies in `restoring` until all of it is there; a start refuses such a directory.
 * Mail clients may have seen later messages under the numbers that come next, so the mailstore is told (RFC 9051 §2.3.1.1).
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { syncDirectory } from '@postbus/blobs/files'
import { databasePath, layoutOf, LOCK_FILE, lockDataDirectory } from '@postbus/profile'
import { markRestored } from '@postbus/sql'

import { copyWhole, syncTree } from './copy-files.ts'
import { BackupDamaged, type Head, readFiles, readHead, type Total } from './manifest.ts'

/** There is something in the directory already. */
export class DirectoryNotEmpty extends Error {
  override readonly name = 'DirectoryNotEmpty'
}

export interface RestoreOptions {
  backup: string
  data: string
  /** What is in the data directory is put aside, into a directory of it, instead of refusing. */
  force: boolean
}

export interface Restored extends Head, Total {
  /** Where the former content is now. */
  putAside: string | null
}

/** Put in place last: a start that sees it sees all. */
const LAST = 'db'

/** @throws BackupDamaged (nothing was changed), DataDirectoryInUse, DirectoryNotEmpty, and what the file system says */
export async function restoreBackup({ backup, data, force }: RestoreOptions): Promise<Restored> {
  const head = await readHead(backup)
  await mkdir(data, { recursive: true })
  const unlock = await lockDataDirectory(data)
  try {
    const { restoring } = layoutOf(data)
    const former = await contentOf(data)
    if (former.length > 0 && !force) {
      throw new DirectoryNotEmpty(`${data} is not empty; --force puts aside what is in it`)
    }
    await rm(restoring, { recursive: true, force: true })
    const total = await copyAll(backup, restoring)
    await markRestored(databasePath(layoutOf(restoring), 'mailstore'))
    await syncTree(restoring)
    await syncDirectory(data)
    const putAside = former.length === 0 ? null : await moveAside(data, former)
    const names = await readdir(restoring)
    for (const name of [...names.filter((one) => one !== LAST), LAST])
      await rename(join(restoring, name), join(data, name))
    await syncDirectory(data)
    await rm(restoring, { recursive: true })
    await syncDirectory(data)
    return { ...head, ...total, putAside }
  } finally {
    await unlock()
  }
}

/** Without what an earlier restore has left, finished or not. */
async function contentOf(data: string): Promise<string[]> {
  return (await readdir(data)).filter((name) => name !== LOCK_FILE && name !== 'restoring' && !name.startsWith(ASIDE))
}

const ASIDE = 'replaced-'

async function moveAside(data: string, names: readonly string[]): Promise<string> {
  const aside = join(data, `${ASIDE}${new Date().toISOString().replaceAll(/[:.]/g, '-')}`)
  await mkdir(aside)
  for (const name of names) await rename(join(data, name), join(aside, name))
  await syncDirectory(aside)
  await syncDirectory(data)
  return aside
}

async function copyAll(backup: string, to: string): Promise<Total> {
  const total: Total = { files: 0, bytes: 0 }
  const made = new Set<string>()
  try {
    for await (const { path, size, mode, sha256 } of readFiles(backup)) {
      const target = join(to, path)
      const directory = dirname(target)
      if (!made.has(directory)) await mkdir(directory, { recursive: true, mode: 0o700 })
      made.add(directory)
      const copied = await copyWhole(join(backup, path), target, mode).catch((cause: unknown) => {
        throw new BackupDamaged(`${path} cannot be copied`, { cause })
      })
      if (copied.size !== size || copied.sha256 !== sha256) throw new BackupDamaged(`${path} is not what was backed up`)
      total.files++
      total.bytes += size
    }
  } catch (error) {
    await rm(to, { recursive: true, force: true })
    throw error
  }
  if (total.files === 0) throw new BackupDamaged('there is nothing in the backup')
  return total
}
