/** A mark beside a database that was put back from a backup, for the service whose clients may know later things than it holds. */
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'

const markOf = (database: string): string => `${database}.restored`

export async function markRestored(database: string): Promise<void> {
  await writeFile(markOf(database), '')
}

/** Does `work` where the mark is, and takes the mark away after it. A crash in between does it twice. */
export async function whenRestored(database: string, work: () => Promise<void>): Promise<void> {
  if (!existsSync(markOf(database))) return
  await work()
  await rm(markOf(database), { force: true })
}
