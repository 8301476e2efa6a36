/**
 * npm run chaos — the scenarios that inject faults, in their long form, one line of facts for each.
 *
 *   npm run chaos -- --all
 *   npm run chaos -- power-loss killed-processes
 *   npm run chaos -- --all --short    as they are part of npm test
 *
 * POSTBUS_TEST_SEED draws other faults. What a scenario that fails prints is shown whole. Ends with 1 when one failed, or did not
 * say all of its facts.
 */
import { parseArgs } from 'node:util'

import { installPrerequisites } from '../check/prerequisites.ts'
import { run } from '../check/run.ts'
import { factsIn, scenarios, type Scenario } from './scenarios.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: 'boolean', default: false }, short: { type: 'boolean', default: false } },
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
let failed = false
for (const scenario of scenarios) {
  if (values.all || positionals.includes(scenario.name)) failed = !(await passes(scenario)) || failed
}
process.exitCode = failed ? 1 : 0

async function passes(scenario: Scenario): Promise<boolean> {
  const startedAt = performance.now()
  const file = `apps/platform-e2e/src/scenarios/${scenario.name}.test.ts`
  const { code, output } = await run('node', ['--test', '--test-reporter=spec', file], { quiet: true })
  const facts = factsIn(scenario, output)
  const passed = code === 0 && ![...facts.values()].includes(null)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
  const said = [...facts].map(([fact, number]) => `${fact} ${number ?? '?'}`).join(', ')
  process.stdout.write(`${scenario.name.padEnd(24)} ${passed ? 'passed' : 'FAILED'}  ${said}, ${seconds} s\n`)
  if (!passed) process.stdout.write(`${output}\n`)
  return passed
}
