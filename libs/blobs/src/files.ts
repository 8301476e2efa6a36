/** File operations every durable write needs: bytes to a new file in order, a directory's entries to disk. */
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Streams read and write pieces of this size: large enough for the disk, small enough for a thousand readers. */
const CHUNK_BYTES = 64 * 1024

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Creates a directory and what is missing above it; each new name is durable when it resolves. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  const above = dirname(first)
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    await syncDirectory(parent)
    if (parent === above) return
  }
}

export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten
}

/** The bytes `[offset, end)` in pieces, fewer if the file is shorter. Closes the file in the end, however the reader leaves. */
export async function* readRange(file: FileHandle, offset: number, end: number): AsyncGenerator<Uint8Array> {
  try {
    for (let at = offset; at < end;) {
      const piece = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, end - at))
      const { bytesRead } = await file.read(piece, 0, piece.length, at)
      if (bytesRead === 0) return
      yield piece.subarray(0, bytesRead)
      at += bytesRead
    }
  } finally {
    await file.close()
  }
}

/** Whether a system call failed with one of these codes. */
export function failedWith(cause: unknown, ...codes: string[]): boolean {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' && codes.includes(cause.code)
}
