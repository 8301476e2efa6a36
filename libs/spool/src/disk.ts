/** What writing needs of the file system; a narrow port, so that tests can let each of it fail. */
import { open, statfs } from 'node:fs/promises'

import { failedWith, syncDirectory } from '@postbus/blobs/files'

import { SpoolFull } from './spool.ts'

export interface DiskFile {
  writev(buffers: readonly Uint8Array[], position: number): Promise<{ bytesWritten: number }>
  sync(): Promise<void>
  datasync(): Promise<void>
  truncate(length: number): Promise<void>
  close(): Promise<void>
}

export interface Disk {
  /** A new file. Its name is durable after `syncDirectory`. */
  create(path: string): Promise<DiskFile>
  syncDirectory(path: string): Promise<void>
  /** Octets and names that are left for us. */
  free(path: string): Promise<{ bytes: number; names: number }>
}

export const localDisk: Disk = {
  create: (path) => open(path, 'wx'),
  syncDirectory,
  async free(path) {
    const { bavail, bsize, ffree, files } = await statfs(path)
    // Some file systems make names as they need them, and say 0 of 0.
    return { bytes: bavail * bsize, names: files === 0 ? Infinity : ffree }
  },
}

/** Every octet, also where the system takes only some at a time. */
export async function writeFully(file: DiskFile, buffers: readonly Uint8Array[], position: number): Promise<number> {
  let rest = buffers
  let at = position
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, at)
    at += bytesWritten
    rest = after(rest, bytesWritten)
  }
  return at - position
}

function after(buffers: readonly Uint8Array[], written: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = written
  for (const buffer of buffers) {
    if (skip < buffer.length) rest.push(buffer.subarray(skip))
    skip = Math.max(0, skip - buffer.length)
  }
  return rest
}

/** A full disk is something the sender may be told. */
export function asSpoolFull(cause: unknown): unknown {
  return failedWith(cause, 'ENOSPC', 'EDQUOT') ? new SpoolFull('the disk is full', { cause }) : cause
}
