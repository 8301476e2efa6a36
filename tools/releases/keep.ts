/**
 * keep — puts down what the code says on the bus as that of a release; called when one is made.
 *
 *   node tools/releases/keep.ts <version>
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { releaseNow, RELEASES } from './release.ts'

const [version = ''] = process.argv.slice(2)
if (!/^\d+\.\d+\.\d+$/.test(version)) {
  process.stderr.write('usage: node tools/releases/keep.ts <major.minor.patch>\n')
  process.exit(64)
}
const file = join(RELEASES, `${version}.json`)
await mkdir(RELEASES, { recursive: true })
// What a release said does not change afterwards.
await writeFile(file, `${JSON.stringify(releaseNow(version))}\n`, { flag: 'wx' })
process.stdout.write(`written: ${file}\n`)
