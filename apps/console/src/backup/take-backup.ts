/**
 * A backup of a data directory, consistent while the platform runs.
 *
 * Every database is copied as of one moment, and what a copy refers to must be in the backup. So:
 *
 *   1. most of spool and blobs, so that what follows is short
 *   2. while nothing is freed: the books, then the rest of the spool. Every record the books need is there; what was freed is neither
 *      there nor needed
 *   3. mailboxes and attempt ledger, after the books: whatever ended before its record could be missing is known here as done
 *   4. the blobs that came meanwhile, before any that a copied mailbox names can have been removed (MAILSTORE_BLOB_GRACE_MS)
 *   5. the directory: every account that has mail in a copied mailbox
 *   6. keys and certificates; then everything is made durable, and the list of it written
 *
 * The bus is not copied: custody publishes again what is open in the books or found in the spool. Mail accepted while the backup is
 * taken may be in it or not.
 */
import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { blobFiles, isPath } from '@postbus/blobs'
import { failedWith } from '@postbus/blobs/files'
import { type DataLayout, databasePath, instanceSettings, layoutOf } from '@postbus/profile'
import { spoolFiles, withoutFreeing } from '@postbus/spool'
import { copyDatabase } from '@postbus/sql'

import { bringUp, digestOf, filesBelow, type SourceFile, syncTree, dropGone } from './copy-files.ts'
import { type BackedUpFile, type Total, writeManifest } from './manifest.ts'

/** Step 4 must be over before the mailstore removes a blob for good: half of the shortest sensible grace. */
const BLOBS_WITHIN_MS = 300_000

/** It cannot be done here, or could not be done in time; nothing that calls itself a backup was made. */
export class BackupImpossible extends Error {
  override readonly name = 'BackupImpossible'
}

export interface BackupSummary extends Total {
  begunAt: string
  finishedAt: string
}

export interface BackupOptions {
  data: string
  /** Must not exist, or be empty. */
  to: string
  /** Told before each step; the step waits for it. */
  progress(text: string): void | Promise<void>
}

/** @throws BackupImpossible, StorageFull, StorageCorrupt, and what the file system says */
export async function takeBackup({ data, to, progress }: BackupOptions): Promise<BackupSummary> {
  const [from, backup] = [layoutOf(data), layoutOf(to)]
  await refuseElsewhere(from)
  const databases = await databasesIn(from)
  await emptyDirectory(to)
  for (const dir of [backup.databases, backup.spool, backup.blobs]) await mkdir(dir, { recursive: true, mode: 0o700 })
  const begunAt = new Date().toISOString()
  const copy = (service: string): Promise<void> =>
    databases.has(service)
      ? copyDatabase(databasePath(from, service), databasePath(backup, service))
      : Promise.resolve()

  await progress('spool and message bytes')
  await bringUp(from.spool, backup.spool, spoolFiles(from.spool))
  await bringUp(from.blobs, backup.blobs, finalFiles(blobFiles(from.blobs)))

  await progress('books and the rest of the spool; nothing is freed meanwhile')
  await withoutFreeing(from.spool, async () => {
    await copy('custody')
    await dropGone(from.spool, backup.spool)
    await bringUp(from.spool, backup.spool, spoolFiles(from.spool))
  })

  await progress('mailboxes, and the bytes that came meanwhile')
  await mailboxes(from, backup, copy)

  await progress('ledger, directory, keys')
  for (const service of databases)
    if (service !== 'custody' && service !== 'mailstore' && service !== 'directory') await copy(service)
  await copy('directory')
  for (const dir of ['keys', 'tls'] as const)
    await bringUp(from[dir], backup[dir], finalFiles(filesBelow(from[dir]), false))
  await bringUp(from.data, backup.data, finalFiles(only(from, 'demoAccounts'), false))

  await progress('digests')
  await syncTree(to)
  const finishedAt = new Date().toISOString()
  return { begunAt, finishedAt, ...(await writeManifest(to, { begunAt, finishedAt }, described(to))) }
}

async function mailboxes(
  from: DataLayout,
  backup: DataLayout,
  copy: (service: string) => Promise<void>,
): Promise<void> {
  const begun = performance.now()
  await copy('mailstore')
  await bringUp(from.blobs, backup.blobs, finalFiles(blobFiles(from.blobs)))
  if (performance.now() - begun > BLOBS_WITHIN_MS) {
    throw new BackupImpossible(
      'message bytes came faster than they could be copied; take the backup on the same file system, or when there is less to do',
    )
  }
}

/** What servers keep is theirs to copy. */
async function refuseElsewhere(layout: DataLayout): Promise<void> {
  const locations = Object.values(await instanceSettings(layout)).flatMap((settings) =>
    Object.entries(settings).filter(([name]) => name === 'SPOOL' || name === 'BLOBS' || name.endsWith('_DATABASE')),
  )
  const names = locations.filter(([, location]) => !isPath(location)).map(([name]) => name)
  if (names.length === 0) return
  throw new BackupImpossible(
    `${[...new Set(names)].sort().join(', ')}: in PostgreSQL or S3, whose own tools back it up; see "Back up" in docs/operations.md`,
  )
}

async function databasesIn({ databases, data }: DataLayout): Promise<Set<string>> {
  const names = await readdir(databases).catch((cause: unknown) => {
    if (failedWith(cause, 'ENOENT', 'ENOTDIR')) return []
    throw cause
  })
  const services = names.filter((name) => name.endsWith('.sqlite')).map((name) => name.slice(0, -'.sqlite'.length))
  if (!services.includes('custody')) throw new BackupImpossible(`${data} is not the data directory of a platform`)
  return new Set(services)
}

async function emptyDirectory(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true })
  if ((await readdir(dir)).length > 0) throw new BackupImpossible(`${dir} is not empty`)
  await chmod(dir, 0o700)
}

async function* finalFiles(paths: AsyncIterable<string>, final = true): AsyncGenerator<SourceFile> {
  for await (const path of paths) yield { path, final }
}

async function* only(from: DataLayout, file: 'demoAccounts'): AsyncGenerator<string> {
  yield from[file].slice(from.data.length + 1)
}

async function* described(dir: string): AsyncGenerator<BackedUpFile> {
  for await (const path of filesBelow(dir)) {
    const file = join(dir, path)
    if (path.startsWith('manifest.')) continue
    yield { path, mode: (await stat(file)).mode & 0o777, ...(await digestOf(file)) }
  }
}
