/** The rules of deploy/monitoring: Prometheus takes them, every alert fires and is silent in a test of its own, and leads somewhere. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { parse } from 'yaml'
import { z } from 'zod'

import { problemsOf } from './queries.ts'
import { vocabulary } from './vocabulary.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')
const folder = join(root, 'deploy', 'monitoring', 'rules')

const Rule = z.object({
  alert: z.string().optional(),
  record: z.string().optional(),
  expr: z.string(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.object({ summary: z.string(), runbook: z.string() }).optional(),
})
const Rules = z.object({ groups: z.array(z.object({ name: z.string(), rules: z.array(Rule) })) })
const UnitTests = z.object({
  tests: z.array(
    z.object({
      alert_rule_test: z.array(z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()) })),
    }),
  ),
})

const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml'))
const testFiles = (await readdir(join(folder, 'tests'))).map((name) => join(folder, 'tests', name))
const rules = (
  await Promise.all(
    files.map(async (file) => {
      const { groups } = Rules.parse(parse(await readFile(join(folder, file), 'utf8')))
      return groups.flatMap((group) => group.rules.map((rule) => ({ ...rule, file })))
    }),
  )
).flat()
const alerts = rules.filter(({ alert }) => alert !== undefined)

test('promtool finds nothing wrong with the rules', async () => {
  const { stdout } = await run('promtool', ['check', 'rules', ...files.map((file) => join(folder, file))])
  assert.doesNotMatch(stdout, /FAILED/)
})

test('every alert fires when it should, and not otherwise', async () => {
  const results = await Promise.all(testFiles.map((file) => run('promtool', ['test', 'rules', file])))
  for (const { stdout } of results) assert.doesNotMatch(stdout, /FAILED/)
  const tried = await Promise.all(
    testFiles.map(async (file) => UnitTests.parse(parse(await readFile(file, 'utf8'))).tests),
  )
  const outcomes = tried.flat().flatMap(({ alert_rule_test }) => alert_rule_test)
  const fires = new Set(outcomes.filter(({ exp_alerts }) => exp_alerts.length > 0).map(({ alertname }) => alertname))
  const silent = new Set(outcomes.filter(({ exp_alerts }) => exp_alerts.length === 0).map(({ alertname }) => alertname))
  for (const { alert = '' } of alerts) {
    assert.ok(fires.has(alert), `no test lets ${alert} fire`)
    assert.ok(silent.has(alert), `no test keeps ${alert} silent`)
  }
})

test('every alert says how bad it is and names a heading of docs/failure-modes.md', async () => {
  const page = await readFile(join(root, 'docs', 'failure-modes.md'), 'utf8')
  const headings = new Set([...page.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading))
  for (const { alert = '', labels, annotations } of alerts) {
    assert.match(alert, /^Postbus[A-Z]\w+$/)
    assert.match(labels?.['severity'] ?? '', /^(critical|warning|info)$/, alert)
    assert.ok(headings.has(annotations?.runbook ?? ''), `${alert} leads to “${annotations?.runbook}”`)
  }
})

test('every rule speaks of metrics, labels and values that exist', async () => {
  const words = await vocabulary(rules.flatMap(({ record }) => record ?? []))
  // What exporters of others count is theirs.
  const problems = rules
    .filter(({ file }) => !file.startsWith('optional-'))
    .flatMap(({ alert, record, expr }) => problemsOf(expr, words).map((problem) => `${alert ?? record}: ${problem}`))
  assert.deepEqual(problems, [])
})

test('a rule about what does not exist is found out', async () => {
  const words = await vocabulary([])
  const said = (query: string): string => problemsOf(query, words).join('; ')
  assert.match(said('rate(mail_smtp_replise_total[5m])'), /no metric mail_smtp_replise_total/)
  assert.match(said('mail_smtp_replies_total{domain="a"}'), /has no label domain/)
  assert.match(said('mail_smtp_messages_total{outcome="lost"}'), /is never lost/)
  assert.match(said('sum by (domain) (mail_smtp_messages_total)'), /has a label domain/)
  assert.match(said('sum(rate(mail_smtp_messages_total[5m])'), /cannot be read/)
  assert.equal(said('sum by (job, outcome) (rate(mail_smtp_messages_total{outcome=~"acc.+|refused"}[5m]))'), '')
})
