/** Clocks: retries, expiry, signatures and tokens all go by them. */
import { error, type Finding, ok, unknown, warning } from './finding.ts'

export interface ClockState {
  /** Ahead of ours, in ms, at the best reading; null: could not be read. */
  broker: number | null
  fileSystem: number | null
  /** Whether this machine follows a time server; null: it does not say. */
  synchronised: boolean | null
}

const OFF_MS = { warning: 2_000, error: 60_000 }

export function judgeClock({ broker, fileSystem, synchronised }: ClockState): Finding[] {
  return [
    judgeOffset('clock of the bus', broker),
    judgeOffset('clock of the file system', fileSystem),
    synchronised === null
      ? unknown('time server', 'this machine does not say whether it follows one')
      : synchronised
        ? ok('time server', 'followed')
        : warning('time server', 'not followed', 'run chrony or systemd-timesyncd'),
  ]
}

function judgeOffset(check: string, offMs: number | null): Finding {
  if (offMs === null) return unknown(check, 'could not be read')
  const off = Math.abs(offMs)
  const found = `${(off / 1000).toFixed(1)} s ${offMs < 0 ? 'behind' : 'ahead of'} ours`
  const todo = 'let both machines follow a time server'
  if (off >= OFF_MS.error) return error(check, found, todo)
  return off >= OFF_MS.warning ? warning(check, found, todo) : ok(check, found)
}
