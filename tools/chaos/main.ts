/**
 * npm run chaos — the scenarios that inject faults, in their long form, one line of facts for each.
 *
 *   npm run chaos -- --all
 *   npm run chaos -- power-loss killed-processes
 *   npm run chaos -- --all --short    as they are part of npm test
 *   npm run chaos -- --all --table    docs/chaos.md is written anew
 *
 * POSTBUS_TEST_SEED draws other faults. What a scenario that fails prints is shown whole. Ends with 1 when one failed, or did not
 * say all of its facts.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { installPrerequisites } from '../check/prerequisites.ts'
import { run } from '../check/run.ts'
import { factsIn, scenarios, type Scenario } from './scenarios.ts'
import { tableOf, type Run } from './table.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    all: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
  },
})
const unknown = positionals.filter((name) => !scenarios.some((scenario) => scenario.name === name))
if (unknown.length > 0 || (positionals.length === 0 && !values.all)) {
  const list = scenarios.map(({ name, fault }) => `  ${name.padEnd(24)} ${fault}\n`).join('')
  process.stderr.write(
    `${unknown.map((name) => `no scenario ${name}\n`).join('')}usage: npm run chaos -- --all | NAME …\n${list}`,
  )
  process.exit(64)
}

if (!values.short) process.env['POSTBUS_TEST_LONG'] = '1'
installPrerequisites()
const startedAt = new Date()
const runs: Run[] = []
for (const scenario of scenarios) {
  if (values.all || positionals.includes(scenario.name)) runs.push(await play(scenario))
}
if (values.table) {
  const circumstances = {
    at: startedAt,
    form: values.short ? 'short' : 'long',
    seed: process.env['POSTBUS_TEST_SEED'],
  } as const
  await writeFile(join(import.meta.dirname, '..', '..', 'docs', 'chaos.md'), tableOf(runs, circumstances))
}
process.exitCode = runs.every(({ passed }) => passed) ? 0 : 1

async function play(scenario: Scenario): Promise<Run> {
  const began = performance.now()
  const file = `apps/platform-e2e/src/scenarios/${scenario.name}.test.ts`
  const { code, output } = await run('node', ['--test', '--test-reporter=spec', file], { quiet: true })
  const facts = factsIn(scenario, output)
  const passed = code === 0 && ![...facts.values()].includes(null)
  const seconds = Math.round((performance.now() - began) / 1000)
  const said = [...facts].map(([fact, number]) => `${fact} ${number ?? '?'}`).join(', ')
  process.stdout.write(`${scenario.name.padEnd(24)} ${passed ? 'passed' : 'FAILED'}  ${said}, ${seconds} s\n`)
  if (!passed) process.stdout.write(`${output}\n`)
  return { scenario, passed, facts, seconds }
}
