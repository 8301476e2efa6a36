/**
 * npm test — every test of the workspace: units, contract suites, transcripts, and the scenarios on real processes.
 *
 * Unchanged projects answer from Nx's cache, with the counts of their last run. Ends with what failed and why, and a plain line
 * `N passed, N failed, N skipped`. Arguments go to `nx run-many` (`-- -p @postbus/smtp`).
 */
import { installPrerequisites } from './prerequisites.ts'
import { run } from './run.ts'
import { countOf, failuresIn } from './test-output.ts'

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

const failed = countOf('fail', output) + countOf('cancelled', output)
const skipped = countOf('skipped', output) + countOf('todo', output)
process.stdout.write(`\n${failuresIn(output).join('\n')}\n`)
process.stdout.write(`\n${countOf('pass', output)} passed, ${failed} failed, ${skipped} skipped\n`)
process.exitCode = code === 0 && failed === 0 ? 0 : 1
