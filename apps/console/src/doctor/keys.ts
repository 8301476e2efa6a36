/** Secrets: for their owner only. */
import { error, type Finding, named, ok } from './finding.ts'

export function judgeKeys(files: readonly { path: string; mode: number }[]): Finding {
  const open = files.filter(({ mode }) => (mode & 0o077) !== 0).map(({ path }) => path)
  return open.length === 0
    ? ok('keys', `all ${files.length} for their owner only`)
    : error('keys', `others may read ${named(open)}`, 'chmod 600; if others have been on this machine, make new ones')
}
