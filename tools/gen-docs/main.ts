/**
 * gen-docs — writes what is made from code: the pages about subjects, JSON Schemas, settings and metrics, Grafana's dashboards, and the
 * names of settings that the start command knows.
 *
 *   node tools/gen-docs/main.ts            writes them
 *   node tools/gen-docs/main.ts --check    says which are not current, and fails
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { configurationPage, settingNames } from './configuration.ts'
import { dashboards } from '../monitoring/dashboards.ts'
import { dashboardFile } from '../monitoring/grafana.ts'
import { metricsPage } from './metrics.ts'
import { schemaFiles } from './schemas.ts'
import { subjectsPage } from './subjects.ts'

const docs = join(import.meta.dirname, '..', '..', 'docs')
const check = process.argv.includes('--check')

const pages = new Map([
  ['subjects.md', subjectsPage()],
  ['configuration.md', await configurationPage()],
  ['../tools/start/setting-names.json', await settingNames()],
  ['metrics.md', await metricsPage()],
  ...schemaFiles(),
  ...dashboards.map(
    (dashboard) => [`../deploy/monitoring/dashboards/${dashboard.uid}.json`, dashboardFile(dashboard)] as const,
  ),
])

const existing = await readdir(join(docs, 'schemas')).catch(() => [])
const stale = existing.map((name) => `schemas/${name}`).filter((name) => !pages.has(name))
for (const name of stale) {
  if (!check) await rm(join(docs, name))
}

const outdated: string[] = [...stale]
for (const [name, text] of pages) {
  const path = join(docs, name)
  if ((await readFile(path, 'utf8').catch(() => null)) === text) continue
  outdated.push(name)
  if (check) continue
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}
for (const name of outdated) process.stdout.write(`${check ? 'not current' : 'written'}: ${join('docs', name)}\n`)
process.stdout.write(`${pages.size} pages, ${outdated.length} ${check ? 'not current' : 'changed'}\n`)
if (check && outdated.length > 0) process.exitCode = 1
