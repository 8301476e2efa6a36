/** Prometheus as Debian ships it, scraping one platform with the configuration and the rules of deploy/monitoring. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { freePort } from '@postbus/testkit'

import { directory } from './directories.ts'
import { until, type Ready } from './platform.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const monitoring = join(root, 'deploy', 'monitoring')
const START_MS = 60_000
const ANSWER_MS = 10_000

export interface Sample {
  /** Labels, the name among them as `__name__`. */
  metric: Readonly<Record<string, string>>
  value: number
}

export interface Prometheus {
  /** The samples of an instant query. */
  query(expression: string): Promise<Sample[]>
  /** GET /api/v1/<path>, and of it `data`. */
  get<Data>(path: string, parameters?: Record<string, string>): Promise<Data>
}

/** Every second; ends with the test. */
export async function startPrometheus(t: TestContext, { data }: Ready): Promise<Prometheus> {
  const dir = await directory()
  const port = await freePort()
  const shipped = await readFile(join(monitoring, 'prometheus-embedded.yaml'), 'utf8')
  const configuration = shipped
    .replaceAll('15s', '1s')
    .replace('rules/*.yaml', join(monitoring, 'rules', '*.yaml'))
    .replace('/var/lib/postbus', data)
  await writeFile(join(dir, 'prometheus.yml'), configuration)
  const child = spawn(
    'prometheus',
    [
      ...[`--config.file=${join(dir, 'prometheus.yml')}`, `--storage.tsdb.path=${join(dir, 'data')}`],
      ...[`--web.listen-address=127.0.0.1:${port}`, '--enable-feature=exemplar-storage', '--log.level=warn'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (said += text))
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill()
    await ended
  })
  const base = `http://127.0.0.1:${port}`
  await until(
    async () => (await fetch(`${base}/-/ready`).catch(() => null))?.ok === true,
    START_MS,
    () => `prometheus did not start:\n${said}`,
    child,
  )
  async function get<Data>(path: string, parameters: Record<string, string> = {}): Promise<Data> {
    const url = `${base}/api/v1/${path}?${new URLSearchParams(parameters)}`
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) })
    const { status, data: found, error } = (await answer.json()) as { status: string; data: Data; error?: string }
    if (status !== 'success') throw new Error(`${url}: ${error}`)
    return found
  }
  return {
    get,
    async query(expression) {
      const { result } = await get<{ result: { metric: Record<string, string>; value: [number, string] }[] }>('query', {
        query: expression,
      })
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
    },
  }
}

export interface DocumentedMetric {
  name: string
  type: 'counter' | 'gauge' | 'histogram'
  labels: string[]
  help: string
  /** Empty: every service. */
  services: string[]
}

/** What docs/metrics.md says. */
export async function documentedMetrics(): Promise<DocumentedMetric[]> {
  const page = await readFile(join(root, 'docs', 'metrics.md'), 'utf8')
  const metrics: DocumentedMetric[] = []
  for (const section of page.split(/^## /m).slice(1)) {
    const heading = section.slice(0, section.indexOf('\n'))
    for (const [, name = '', type, labels = '', rest = ''] of section.matchAll(
      /^\| `(\w+)` \| (\w+)[^|]* \| (.*?) ?\| (.*) \|$/gm,
    )) {
      const [help = '', services = ''] = rest.split(' | ')
      if (type !== 'counter' && type !== 'gauge' && type !== 'histogram') throw new Error(`${name} is a ${type}`)
      metrics.push({
        ...{ name, type, help },
        labels: [...labels.matchAll(/`(\w+)`: /g)].map(([, label]) => label ?? ''),
        services: heading === 'Several services' ? services.split(', ') : heading === 'Every service' ? [] : [heading],
      })
    }
  }
  return metrics
}
