/** One platform per data directory: a second start on the same one is refused, a crashed one's lock is taken over. */
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

export class DataDirectoryInUse extends Error {
  override readonly name = 'DataDirectoryInUse'
}

export const LOCK_FILE = 'postbus.lock'

/** @returns what releases it. @throws DataDirectoryInUse */
export async function lockDataDirectory(data: string): Promise<() => Promise<void>> {
  const path = join(data, LOCK_FILE)
  const mine = `${process.pid} ${await startTime(process.pid)}`
  const holder = await holderOf(data)
  if (holder !== null) throw new DataDirectoryInUse(`${data} is in use by process ${holder}`)
  await rm(path, { force: true })
  try {
    const file = await open(path, 'wx')
    await file.writeFile(mine)
    await file.close()
  } catch (cause) {
    throw new DataDirectoryInUse(`${data} was taken by another start at this moment`, { cause })
  }
  return () => rm(path, { force: true })
}

/** The process that uses this directory now, if any other than this one does. */
export async function holderOf(data: string): Promise<number | null> {
  const holder = await readFile(join(data, LOCK_FILE), 'utf8').catch(() => null)
  if (holder === null) return null
  const [pid, started] = holder.split(' ')
  if (Number(pid) === process.pid && (await startTime(process.pid)) === started) return null
  return (await startTime(Number(pid))) === started ? Number(pid) : null
}

/** When a process began, in clock ticks since boot; '' when there is none. Tells a reused pid from the old one. */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (stat !== null) return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  try {
    process.kill(pid, 0)
    return 'running' // A system without /proc: the pid alone must do.
  } catch {
    return ''
  }
}
