/**
 * A nats-server whose disk was full takes nothing more for the streams it could not write, also when there is room again, until it is
 * started anew: its log says "critical write error", publishers hear nothing at all. So it is started anew, once there is room.
 */
import { open, statfs } from 'node:fs/promises'

const LOOK_EVERY_MS = 1000
const WRITE_ERROR = 'critical write error'
/** Started with less it would only fail again. */
const LEAST_FREE_BYTES = 16 * 1024 ** 2

export interface BrokerDisk {
  logFile: string
  storeDir: string
  /** Ends the server; who watches over it starts it again. */
  end(): void
}

/** Whether to start the server anew: something could not be written, and now could be. */
export class WriteErrors {
  #seen = false
  #partial = ''

  /** What the log says since the last look. */
  read(text: string): void {
    const end = text.lastIndexOf('\n') + 1
    this.#seen ||= `${this.#partial}${text.slice(0, end)}`.includes(WRITE_ERROR)
    this.#partial = end > 0 ? text.slice(end) : `${this.#partial}${text}`
  }

  /** True once for what was seen. */
  curable(freeBytes: number): boolean {
    if (!this.#seen || freeBytes < LEAST_FREE_BYTES) return false
    this.#seen = false
    return true
  }
}

export function watchBrokerDisk({ logFile, storeDir, end }: BrokerDisk): { stop(): void } {
  const errors = new WriteErrors()
  let from: number | undefined
  let looking = false

  async function look(): Promise<void> {
    const log = await open(logFile)
    try {
      const { size } = await log.stat()
      const begin = Math.min(from ?? size, size)
      const { buffer, bytesRead } = await log.read(Buffer.alloc(size - begin), 0, size - begin, begin)
      errors.read(buffer.toString('utf8', 0, bytesRead))
      from = begin + bytesRead
    } finally {
      await log.close()
    }
    const { bavail, bsize } = await statfs(storeDir)
    if (errors.curable(bavail * bsize)) end()
  }

  const timer = setInterval(() => {
    if (looking) return
    looking = true
    look()
      // The log or the store is not there yet, or not any more: nothing to be seen.
      .catch(() => {})
      .finally(() => (looking = false))
  }, LOOK_EVERY_MS)
  return { stop: () => clearInterval(timer) }
}
