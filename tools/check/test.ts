/**
 * npm test — every test of the workspace: units, contract suites, transcripts, and the scenarios on real processes.
 *
 * Unchanged projects answer from Nx's cache, with the counts of their last run. Ends with a plain line
 * `N passed, N failed, N skipped`. Arguments go to `nx run-many` (`-- -p @postbus/smtp`).
 */
import { installPrerequisites } from './prerequisites.ts'
import { run } from './run.ts'

installPrerequisites()

/** More than a small machine has processors: suites wait for disks, servers and time-outs for a good part of their time. */
const SUITES_AT_ONCE = 3

const { code, output } = await run('nx', [
  'run-many',
  '-t',
  'test',
  `--parallel=${SUITES_AT_ONCE}`,
  '--output-style=stream',
  ...process.argv.slice(2),
])

/** node:test closes each run with these lines; Nx may put the project's name in front. */
const total = (word: string): number =>
  [...output.matchAll(new RegExp(`^.*ℹ ${word} (\\d+)$`, 'gm'))].reduce((sum, [, count]) => sum + Number(count), 0)

const failed = total('fail') + total('cancelled')
process.stdout.write(`\n${total('pass')} passed, ${failed} failed, ${total('skipped') + total('todo')} skipped\n`)
process.exitCode = code === 0 && failed === 0 ? 0 : 1
