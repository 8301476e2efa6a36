import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { factsIn, scenarios } from './scenarios.ts'

const directory = join(import.meta.dirname, '..', '..', 'apps', 'platform-e2e', 'src', 'scenarios')

test('every scenario has a file', () => {
  for (const { name } of scenarios) assert.ok(existsSync(join(directory, `${name}.test.ts`)), name)
})

test('facts are added up over the runs of a scenario, of times the longest counts, and one that was not said is not taken for zero', () => {
  const scenario = {
    name: 'a',
    fault: 'none',
    facts: { missing: /missing (\d+)/g, kills: /(\d+) kills/g },
    times: { took: /took (\d+)/g },
  }
  const output = 'missing 7 in an error message\nℹ 3 promised, missing 1, took 9\n  ℹ missing 2, took 10\nℹ tests 2\n'
  assert.deepEqual(
    [...factsIn(scenario, output)],
    [
      ['missing', 3],
      ['kills', null],
      ['took', 10],
    ],
  )
})
