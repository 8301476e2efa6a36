/**
 * npm run chaos -- --mutations — is what the scenarios guard really guarded? One promise at a time is broken in a copy of the source,
 * and the scenario that stands for it has to fail there. The workspace itself is not touched.
 *
 * The text of each mutation must be found exactly once, so that none silently stops breaking what it names.
 */
import { execFile } from 'node:child_process'
import { copyFile, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { root, run } from '../check/run.ts'

const execute = promisify(execFile)

export interface Mutation {
  name: string
  /** The promise that is broken. */
  breaks: string
  file: string
  from: string
  to: string
  /** The scenario that has to fail, and the part of the name of its test where it has several. */
  scenario: string
  test?: string
  /** Only its long form has enough of the moments in which the promise counts. */
  long?: true
}

export const mutations: readonly Mutation[] = [
  {
    name: 'spool-without-flush',
    breaks: 'a 250 comes after the flush of the spool',
    file: 'libs/spool/src/segment-writer.ts',
    from: '      await current.file.datasync()\n',
    to: '',
    scenario: 'power-loss',
  },
  {
    name: 'ack-before-commit',
    breaks: 'a task is acknowledged, and called delivered, after the commit of the mailbox',
    file: 'apps/mailstore/src/handlers/mail-local.ts',
    from: 'outcome = await deliverLocal(task, ports)',
    to: "deliverLocal(task, ports).catch(() => {})\n      outcome = { kind: 'delivered', repeat: false }",
    scenario: 'killed-processes',
    test: 'mailstore',
    long: true,
  },
  {
    name: 'no-reconciliation',
    breaks: 'what the bus lost is published again',
    file: 'apps/custody/src/lead.ts',
    from: 'await pass(ports, limits, signal, result)',
    to: 'await Promise.resolve(pass)',
    scenario: 'broker-faults',
  },
]

const ERROR_LINES = 12
const ERROR_LENGTH = 400

/** @returns what the scenario said when it failed; null when it passed, so that nothing guards this promise */
export async function undergo(mutation: Mutation): Promise<string | null> {
  const copy = join(root, '.cache', 'mutation')
  await rm(copy, { recursive: true, force: true })
  try {
    await copySource(copy)
    const file = join(copy, mutation.file)
    await writeFile(file, mutated(await readFile(file, 'utf8'), mutation))
    const scenario = join('apps', 'platform-e2e', 'src', 'scenarios', `${mutation.scenario}.test.ts`)
    const only = mutation.test === undefined ? [] : [`--test-name-pattern=${mutation.test}`]
    const { code, output } = await run('node', ['--test', '--test-reporter=spec', ...only, scenario], {
      quiet: true,
      cwd: copy,
      env: { POSTBUS_TEST_LONG: mutation.long ? '1' : '' },
    })
    return code === 0 ? null : failureIn(output)
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

/** @throws Error when the source has changed so that the mutation does not fit */
export function mutated(source: string, { name, file, from, to }: Mutation): string {
  const [before, after, ...more] = source.split(from)
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${name}: its text is not found once in ${file}`)
  }
  return before + to + after
}

/** What git knows, changes included; other packages are found in the directories above, the workspace's own in the copy. */
async function copySource(copy: string): Promise<void> {
  const { stdout } = await execute('git', ['ls-files', '-z'], { cwd: root, maxBuffer: 16 * 1024 * 1024 })
  for (const path of stdout.split('\0').filter((name) => name !== '')) {
    await mkdir(dirname(join(copy, path)), { recursive: true })
    await copyFile(join(root, path), join(copy, path))
  }
  await mkdir(join(copy, 'node_modules'))
  const own = join('node_modules', '@postbus')
  await cp(join(root, own), join(copy, own), { recursive: true, verbatimSymlinks: true })
  await symlink(join(root, 'node_modules', '.bin'), join(copy, 'node_modules', '.bin'))
  await symlink(join(root, '.cache'), join(copy, '.cache'))
}

/** The first lines of the error, which say what was missed. */
function failureIn(output: string): string {
  const lines = output.split('\n').map((line) => line.trim())
  const at = lines.findIndex((line) => /^\[?\w*Error\b/.test(line))
  return at < 0
    ? 'failed'
    : lines
        .slice(at, at + ERROR_LINES)
        .join(' ')
        .slice(0, ERROR_LENGTH)
}
