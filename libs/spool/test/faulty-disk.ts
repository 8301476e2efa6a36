/** A disk that fails where a test says so. */
import { type Disk, type DiskFile, localDisk } from '../src/index.ts'

type Operation = 'create' | 'writev' | 'sync' | 'datasync' | 'syncDirectory'

export interface FaultyDisk extends Disk {
  /** The next operations of this kind fail so, on paths that match. */
  fail(operation: Operation, code: 'EIO' | 'ENOSPC', options?: { path?: RegExp; times?: number }): void
  /** Called before each operation; may wait. */
  before: (operation: Operation, path: string) => Promise<void> | void
  freeBytes: number
}

export function faultyDisk(): FaultyDisk {
  const faults: { operation: Operation; code: string; path: RegExp; times: number }[] = []

  async function attempt(operation: Operation, path: string): Promise<void> {
    await disk.before(operation, path)
    const fault = faults.find((one) => one.operation === operation && one.path.test(path) && one.times > 0)
    if (!fault) return
    fault.times--
    throw Object.assign(new Error(`${fault.code}: ${operation} ${path}`), { code: fault.code })
  }

  const wrapped = (path: string, file: DiskFile): DiskFile => ({
    async writev(buffers, position) {
      try {
        await attempt('writev', path)
      } catch (cause) {
        // As a full disk does: a part is written.
        await file.writev([Buffer.concat(buffers).subarray(0, 100)], position)
        throw cause
      }
      return await file.writev(buffers, position)
    },
    async sync() {
      await attempt('sync', path)
      await file.sync()
    },
    async datasync() {
      await attempt('datasync', path)
      await file.datasync()
    },
    truncate: (length) => file.truncate(length),
    close: () => file.close(),
  })

  const disk: FaultyDisk = {
    async create(path) {
      await attempt('create', path)
      return wrapped(path, await localDisk.create(path))
    },
    async syncDirectory(path) {
      await attempt('syncDirectory', path)
      await localDisk.syncDirectory(path)
    },
    free: async () => ({ bytes: disk.freeBytes, names: Infinity }),
    fail(operation, code, { path = /./, times = 1 } = {}) {
      faults.push({ operation, code, path, times })
    },
    before: () => {},
    freeBytes: 1e12,
  }
  return disk
}
