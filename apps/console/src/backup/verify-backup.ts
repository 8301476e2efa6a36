/** Reads a backup again, all of it: every file against the list, every database by its own check, nothing missing, nothing more. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { examineDatabase } from '@postbus/sql'

import { digestOf, filesBelow } from './copy-files.ts'
import { MANIFEST, readFiles, readHead, type Head, type Total } from './manifest.ts'

export interface Verified extends Head, Total {
  /** Empty: the backup can be restored. */
  problems: string[]
}

/** @throws BackupDamaged when there is no list to compare with */
export async function verifyBackup(dir: string): Promise<Verified> {
  const head = await readHead(dir)
  const problems: string[] = []
  const total: Total = { files: 0, bytes: 0 }
  let listed = 0
  for await (const { path, size, sha256 } of readFiles(dir)) {
    total.files++
    total.bytes += size
    const file = join(dir, path)
    if (!(await stat(file).catch(() => null))?.isFile()) {
      problems.push(`${path} is missing`)
      continue
    }
    listed++
    const found = await digestOf(file)
    if (found.size !== size) problems.push(`${path} has ${found.size} octets, not ${size}`)
    else if (found.sha256 !== sha256) problems.push(`${path} has other content`)
    else if (path.endsWith('.sqlite'))
      problems.push(...examineDatabase(file).problems.map((text) => `${path}: ${text}`))
  }
  // In no order, and perhaps millions: numbers tell.
  let there = 0
  for await (const path of filesBelow(dir)) if (path !== MANIFEST) there++
  if (there > listed) problems.push(`${there - listed} files are there that the list does not name`)
  return { ...head, ...total, problems }
}
