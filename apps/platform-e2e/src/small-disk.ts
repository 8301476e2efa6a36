/** A disk that is quickly full: a tmpfs, which says ENOSPC as any other file system does. Mounting takes root. */
import { execFile } from 'node:child_process'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const PIECES = [1024 * 1024, 4096].map((size) => Buffer.alloc(size))

export interface SmallDisk {
  /** Until not another block can be written. Again later, it takes what has been given back meanwhile. */
  fill(): void
  /** Gives back what `fill` took. */
  empty(): Promise<void>
  unmount(): Promise<void>
}

export async function mountSmallDisk(path: string, bytes: number): Promise<SmallDisk> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'postbus-small-disk', path])
  const filler = join(path, 'filler')
  return {
    fill() {
      const file = openSync(filler, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND)
      try {
        for (const piece of PIECES) while (wrote(file, piece));
      } finally {
        closeSync(file)
      }
    },
    empty: () => rm(filler, { force: true }),
    // Lazily: a process that is being killed may still have a file open.
    unmount: () => run('umount', ['--lazy', path]).then(() => {}),
  }
}

function wrote(file: number, piece: Buffer): boolean {
  try {
    return writeSync(file, piece) > 0
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false
    throw error
  }
}
