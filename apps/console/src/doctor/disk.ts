/** Room on the file system of the data: octets and inodes. */
import { error, type Finding, ok, percent, warning } from './finding.ts'

export interface DiskState {
  freeBytes: number
  totalBytes: number
  freeInodes: number
  /** 0 where the file system does not count them. */
  totalInodes: number
}

const LITTLE = { warning: 15, error: 5 }
/** Large disks have room enough at 5 %. */
const PLENTY_BYTES = 100 * 1024 ** 3
const GIB = 1024 ** 3

export function judgeDisk({ freeBytes, totalBytes, freeInodes, totalInodes }: DiskState): Finding[] {
  const todo = 'make room: mail is refused (452) when there is none'
  const free = percent(freeBytes, totalBytes)
  const found = `${(freeBytes / GIB).toFixed(1)} GiB free (${free} %)`
  const disk = freeBytes >= PLENTY_BYTES ? ok('disk', found) : judged('disk', free, found, todo)
  if (totalInodes === 0) return [disk]
  const freeShare = percent(freeInodes, totalInodes)
  return [disk, judged('inodes', freeShare, `${freeInodes} free (${freeShare} %)`, todo)]
}

function judged(check: string, share: number, found: string, todo: string): Finding {
  if (share < LITTLE.error) return error(check, found, todo)
  return share < LITTLE.warning ? warning(check, found, todo) : ok(check, found)
}
