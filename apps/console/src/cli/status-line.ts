/** How far it is, in one line that changes; in a file of logs, a line now and then. */
export interface Stderr {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

const REDRAWN_MS = 100
const TOLD_MS = 10_000
const CLEAR_LINE = '\r\u001b[K'

export function statusLine(stderr: Stderr, now: () => number = () => performance.now()): (text: string | null) => void {
  const pause = stderr.isTTY ? REDRAWN_MS : TOLD_MS
  let last = stderr.isTTY ? -Infinity : now()
  return (text) => {
    if (text === null) {
      if (stderr.isTTY) stderr.write(CLEAR_LINE)
      return
    }
    if (now() - last < pause) return
    last = now()
    if (stderr.isTTY) stderr.write(`${CLEAR_LINE}${text.slice(0, (stderr.columns ?? 80) - 1)}`)
    else stderr.write(`${text}\n`)
  }
}

const WIDTH = 24

/** `[######      ] 250 of 1000`; without a total, only how many. */
export function bar(done: number, total: number | null): string {
  if (total === null || total === 0) return `${done}`
  const filled = Math.min(WIDTH, Math.floor((done / total) * WIDTH))
  return `[${'#'.repeat(filled)}${' '.repeat(WIDTH - filled)}] ${done} of ${total}`
}
