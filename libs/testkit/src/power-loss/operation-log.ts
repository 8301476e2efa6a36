/** Reads what recording-fs.c wrote down, one entry at a time; its head comment has the format. */
import { createReadStream } from 'node:fs'

export type Entry =
  | { kind: 'root'; inode: number }
  | { kind: 'create' | 'mkdir'; directory: number; name: string; inode: number; mode: number }
  | { kind: 'symlink'; directory: number; name: string; inode: number; target: string }
  | { kind: 'link'; directory: number; name: string; inode: number }
  | { kind: 'unlink' | 'rmdir'; directory: number; name: string }
  | { kind: 'rename'; directory: number; name: string; newDirectory: number; newName: string }
  | { kind: 'write'; inode: number; offset: number; data: Uint8Array; synchronous: boolean }
  | { kind: 'truncate' | 'allocate'; inode: number; size: number }
  | { kind: 'chmod'; inode: number; mode: number }
  | { kind: 'fsync' | 'fsyncdir'; inode: number }

const HEAD_BYTES = 40

/** Every entry in order. @throws on a kind nobody knows */
export async function* readLog(path: string): AsyncGenerator<Entry> {
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 4 * 1024 * 1024 })) {
    held = Buffer.concat([held, chunk as Buffer]) // no encoding is set
    let at = 0
    for (; at + HEAD_BYTES <= held.length;) {
      const length = held.readUInt32LE(at)
      if (at + length > held.length) break
      yield decode(held.subarray(at, at + length))
      at += length
    }
    held = held.subarray(at)
  }
  if (held.length > 0) throw new Error(`${path} ends within an entry`)
}

function decode(entry: Buffer): Entry {
  const [a, b, c] = [8, 16, 24].map((at) => Number(entry.readBigUInt64LE(at))) as [number, number, number]
  const nameEnd = HEAD_BYTES + entry.readUInt32LE(32)
  const otherEnd = nameEnd + entry.readUInt32LE(36)
  const name = entry.toString('utf8', HEAD_BYTES, nameEnd)
  const other = entry.toString('utf8', nameEnd, otherEnd)
  const kind = entry.readUInt16LE(4)
  switch (kind) {
    case 1:
      return { kind: 'root', inode: a }
    case 2:
      return { kind: 'create', directory: a, name, inode: b, mode: c }
    case 3:
      return { kind: 'mkdir', directory: a, name, inode: b, mode: c }
    case 4:
      return { kind: 'symlink', directory: a, name, inode: b, target: other }
    case 5:
      return { kind: 'link', directory: a, name, inode: b }
    case 6:
      return { kind: 'unlink', directory: a, name }
    case 7:
      return { kind: 'rmdir', directory: a, name }
    case 8:
      return { kind: 'rename', directory: a, name, newDirectory: b, newName: other }
    case 9: {
      // A copy: the model keeps it for longer than the buffer it came in.
      const data = Uint8Array.from(entry.subarray(otherEnd))
      return { kind: 'write', inode: a, offset: b, data, synchronous: entry.readUInt16LE(6) === 1 }
    }
    case 10:
      return { kind: 'truncate', inode: a, size: b }
    case 11:
      return { kind: 'allocate', inode: a, size: b }
    case 12:
      return { kind: 'chmod', inode: a, mode: b }
    case 13:
      return { kind: 'fsync', inode: a }
    case 14:
      return { kind: 'fsyncdir', inode: a }
    default:
      throw new Error(`an entry of unknown kind ${kind}`)
  }
}
