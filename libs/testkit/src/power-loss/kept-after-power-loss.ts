/** One test for one promise of durability: what a program called durable is there whenever the power goes after that. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { seeded } from '../seeded.ts'
import { CrashModel } from './crash-model.ts'
import { readLog } from './operation-log.ts'
import { mountRecordingFs } from './recording-fs.ts'

/** Trees drawn for each moment looked at. */
const DRAWS = 8

/** To be called at the moment something is promised. @param check rejects when it is not in the directory it is given */
export type Durable = (check: (dir: string) => unknown) => void

/** Whether this machine can: a test that needs it is skipped elsewhere. */
export const isAvailable = (): boolean =>
  process.getuid?.() === 0 && existsSync('/dev/fuse') && existsSync('/usr/include/fuse3')

/**
 * Runs `work` on an empty directory that records. Every check is then made on trees drawn for the moment of its promise, and for
 * the end of the work. @throws what a check throws
 */
export async function keptAfterPowerLoss(
  t: TestContext,
  work: (dir: string, durable: Durable) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-power-loss-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const fs = await mountRecordingFs(t, dir)
  const promises: { position: number; check: (dir: string) => unknown }[] = []
  await work(fs.mountPoint, (check) => promises.push({ position: fs.position(), check }))
  await fs.unmount()

  const operations = fs.position()
  const model = new CrashModel()
  for await (const entry of readLog(fs.log)) {
    model.apply(entry)
    const now = model.operations
    const looked = promises.filter(({ position }) => position === now || (now === operations && position < now))
    if (looked.length === 0) continue
    for (let draw = 0; draw < DRAWS; draw++) {
      const tree = join(dir, 'tree')
      await mkdir(tree)
      model.materialise(tree, seeded(now * DRAWS + draw))
      for (const { check } of looked) await check(tree)
      await rm(tree, { recursive: true })
    }
  }
}
