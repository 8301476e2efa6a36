/** npm run check — what CI asks beside the tests: formatting, boundaries and bugs, types, that generated pages are current, and the manifests. */
import { checkManifests } from '../k8s/check.ts'
import { checkBoundaries } from './boundaries.ts'
import { checkStandards } from './standards.ts'
import { run } from './run.ts'

const steps: [string, () => Promise<boolean>][] = [
  ['formatting', async () => (await run('prettier', ['--check', '--log-level=warn', '.'])).code === 0],
  ['lint and types', async () => (await run('nx', ['run-many', '-t', 'lint', 'typecheck', '--parallel=2'])).code === 0],
  ['boundaries refuse planted violations', checkBoundaries],
  ['generated pages are current', async () => (await run('node', ['tools/gen-docs/main.ts', '--check'])).code === 0],
  ['standards table and code agree', checkStandards],
  ['manifests of Kubernetes', checkManifests],
]

const failed: string[] = []
for (const [name, step] of steps) {
  process.stdout.write(`\n── ${name}\n`)
  if (!(await step())) failed.push(name)
}
process.stdout.write(failed.length === 0 ? '\nall checks passed\n' : `\nfailed: ${failed.join('; ')}\n`)
process.exitCode = failed.length === 0 ? 0 : 1
