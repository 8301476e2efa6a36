/**
 * What makes a directory a backup: a list of every file in it, written last. Without one, or with one that does not match, there
 * is no backup. One JSON value per line, so that millions of files need no memory: a head, the files, their count.
 */
import { createReadStream } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { syncDirectory } from '@postbus/blobs/files'
import { z } from 'zod'

export const MANIFEST = 'manifest.jsonl'
const FORMAT = 'postbus-backup'
const VERSION = 1

export const Head = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  /** Everything accepted before this is in the backup. */
  begunAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
})
export type Head = z.infer<typeof Head>

export const BackedUpFile = z.object({
  /** Below the backup, with slashes, never out of it. */
  path: z
    .string()
    .regex(/^[^/\0]+(?:\/[^/\0]+)*$/)
    .refine((path) => path.split('/').every((name) => name !== '..' && name !== '.')),
  size: z.int().nonnegative(),
  /** Permissions, as chmod(2) takes them. */
  mode: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})
export type BackedUpFile = z.infer<typeof BackedUpFile>

const Tail = z.object({ files: z.int().nonnegative(), bytes: z.int().nonnegative() })
export type Total = z.infer<typeof Tail>

/** Not a backup, an unfinished one, or one that was changed. */
export class BackupDamaged extends Error {
  override readonly name = 'BackupDamaged'
}

/** Durable when it resolves. */
export async function writeManifest(
  dir: string,
  times: Pick<Head, 'begunAt' | 'finishedAt'>,
  files: AsyncIterable<BackedUpFile>,
): Promise<Total> {
  const draft = join(dir, `${MANIFEST}.draft`)
  const total: Total = { files: 0, bytes: 0 }
  const file = await open(draft, 'wx', 0o600)
  try {
    const head: Head = { format: FORMAT, version: VERSION, ...times }
    await file.writeFile(`${JSON.stringify(head)}\n`)
    for await (const one of files) {
      await file.writeFile(`${JSON.stringify(one)}\n`)
      total.files++
      total.bytes += one.size
    }
    await file.writeFile(`${JSON.stringify(total)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, join(dir, MANIFEST))
  await syncDirectory(dir)
  return total
}

/** @throws BackupDamaged */
export async function readHead(dir: string): Promise<Head> {
  for await (const line of lines(dir))
    return parse(Head, line, 'its first line is not that of a backup this version reads')
  throw new BackupDamaged(`${dir}: ${MANIFEST} is empty`)
}

/** Every file, in order. @throws BackupDamaged also after the last file, when some are missing in the list */
export async function* readFiles(dir: string): AsyncGenerator<BackedUpFile> {
  const seen: Total = { files: 0, bytes: 0 }
  let held: string | null = null
  let first = true
  for await (const line of lines(dir)) {
    if (held !== null) {
      const file = parse(BackedUpFile, held, `line ${seen.files + 2} of ${MANIFEST} names no file`)
      seen.files++
      seen.bytes += file.size
      yield file
    }
    if (!first) held = line
    first = false
  }
  const tail = parse(Tail, held ?? '', `${MANIFEST} has no end`)
  if (tail.files !== seen.files || tail.bytes !== seen.bytes) {
    throw new BackupDamaged(`${dir}: ${MANIFEST} names ${seen.files} files of ${tail.files}`)
  }
}

async function* lines(dir: string): AsyncGenerator<string> {
  const stream = createReadStream(join(dir, MANIFEST))
  try {
    yield* createInterface({ input: stream, crlfDelay: Infinity })
  } catch (cause) {
    throw new BackupDamaged(`${dir} is no backup: ${MANIFEST} cannot be read`, { cause })
  } finally {
    stream.destroy()
  }
}

function parse<T>(schema: z.ZodType<T>, line: string, problem: string): T {
  try {
    return schema.parse(JSON.parse(line))
  } catch (cause) {
    throw new BackupDamaged(problem, { cause })
  }
}
