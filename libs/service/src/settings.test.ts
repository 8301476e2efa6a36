import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { z } from 'zod'

import { commonConfig, readSettings } from './settings.ts'

const schema = z.object({
  ...commonConfig,
  TEST_LIMIT: z.coerce.number().int().min(1).max(10).default(5).describe('How many.'),
  TEST_SWITCH: z.stringbool().default(false).describe('Whether.'),
  TEST_PASSWORD: z.string().regex(/^x/).meta({ secret: true }).describe('Of the database.'),
})

function problems(env: Record<string, string>): string[] {
  const result = readSettings(schema, env)
  return result.ok ? [] : result.problems.map(({ text }) => text)
}

test('an error names the setting, its value, what is allowed and what it is for', () => {
  assert.deepEqual(problems({ TEST_LIMIT: '11', TEST_PASSWORD: 'x' }), [
    'TEST_LIMIT = "11": Too big: expected number to be <=10. How many.',
  ])
})

test('all errors are told at once, and a missing setting is called missing', () => {
  assert.deepEqual(
    problems({ LOG_LEVEL: 'loud', TEST_LIMIT: 'x' }).map((text) => text.split(':')[0]),
    ['LOG_LEVEL = "loud"', 'TEST_LIMIT = "x"', 'TEST_PASSWORD is not set'],
  )
})

test('the value of a secret is never shown', () => {
  const [text] = problems({ TEST_PASSWORD: 'hunter2' })
  assert.match(text ?? '', /^TEST_PASSWORD = \(hidden\): /)
  assert.doesNotMatch(text ?? '', /hunter2/)
})

test('the environment wins over the file, and empty counts as not set', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'postbus-settings-'))
  t.after(() => rm(directory, { recursive: true }))
  const file = join(directory, 'postbus.env')
  await writeFile(file, '# one file for all services\nTEST_LIMIT=7\nTEST_SWITCH="yes"\nTEST_PASSWORD=xfile\nOTHER=1\n')
  const result = readSettings(schema, { CONFIG_FILE: file, TEST_PASSWORD: 'xenv', TEST_LIMIT: '' })
  assert.ok(result.ok)
  const { TEST_LIMIT, TEST_SWITCH, TEST_PASSWORD } = result.config
  assert.deepEqual(
    { TEST_LIMIT, TEST_SWITCH, TEST_PASSWORD },
    { TEST_LIMIT: 7, TEST_SWITCH: true, TEST_PASSWORD: 'xenv' },
  )
})

test('a file that cannot be read is an error of CONFIG_FILE', () => {
  assert.match(problems({ CONFIG_FILE: '/does/not/exist' })[0] ?? '', /^CONFIG_FILE = "\/does\/not\/exist": ENOENT/)
})
