/** CPU time of processes and everything they started — proc_pid_stat(5). */
import { readdir, readFile } from 'node:fs/promises'

/** Linux counts in hundredths of a second, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100

interface Stat {
  parent: number
  /** Its own, and that of children it has buried. */
  ticks: number
}

/** Of each process and its descendants since they began. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  const stats = await allStats()
  const children = Map.groupBy(stats.keys(), (pid) => stats.get(pid)?.parent ?? 0)
  const treeOf = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(treeOf)]
  const ticks = [...new Set(pids.flatMap(treeOf))].reduce((sum, pid) => sum + (stats.get(pid)?.ticks ?? 0), 0)
  return ticks / TICKS_PER_SECOND
}

async function allStats(): Promise<Map<number, Stat>> {
  const pids = (await readdir('/proc')).map(Number).filter(Number.isInteger)
  const stats = await Promise.all(
    pids.map(async (pid): Promise<[number, Stat] | null> => {
      const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null) // It ended meanwhile.
      if (text === null) return null
      // The command stands in parentheses and may hold anything.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
      const [parent = 0] = fields.slice(1, 2).map(Number)
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
      return [pid, { parent, ticks }]
    }),
  )
  return new Map(stats.filter((stat) => stat !== null))
}
