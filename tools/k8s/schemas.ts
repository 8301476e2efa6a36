/**
 * Every object against its API: values by the validators of `kubernetes-models` and its sisters for operators' kinds, unknown fields by
 * their types. The validators let an unknown field pass, and so would a cluster, silently; for the compiler it is an error in a literal.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { z } from 'zod'

import { repository, type Manifest } from './manifests.ts'

const run = promisify(execFile)

/** Where the models of an API group are; core's and the cluster's own are in kubernetes-models. */
const PACKAGES: Record<string, string> = {
  'cert-manager.io': '@kubernetes-models/cert-manager',
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'postgresql.cnpg.io': '@kubernetes-models/cloudnative-pg',
}

const moduleOf = ({ apiVersion, kind }: Manifest): string => {
  const [group = '', version] = apiVersion.split('/')
  return version === undefined
    ? `kubernetes-models/${apiVersion}/${kind}`
    : `${PACKAGES[group] ?? 'kubernetes-models'}/${group}/${version}/${kind}`
}

const nameOf = ({ kind, metadata }: Manifest): string => `${kind}/${metadata.name}`

/** @returns what is wrong, an entry for each finding */
export async function schemaProblems(manifests: readonly Manifest[]): Promise<string[]> {
  return [...(await wrongValues(manifests)), ...(await unknownFields(manifests))]
}

const Model = z.custom<new (data: unknown) => { validate(): void }>((value) => typeof value === 'function')

async function wrongValues(manifests: readonly Manifest[]): Promise<string[]> {
  const problems: string[] = []
  for (const manifest of manifests) {
    try {
      const loaded: Record<string, unknown> = await import(moduleOf(manifest))
      const Kind = Model.parse(loaded[manifest.kind])
      new Kind(manifest).validate()
    } catch (error) {
      problems.push(`${nameOf(manifest)}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return problems
}

/** One line of source for each object, so that the compiler's line says which it is. */
async function unknownFields(manifests: readonly Manifest[]): Promise<string[]> {
  const work = await mkdtemp(join(tmpdir(), 'postbus-manifests-'))
  try {
    // The models are this package's; npm puts them at the root or here.
    await symlink(join(repository, 'node_modules'), join(work, 'node_modules'))
    const lines = manifests.map((manifest, index) => {
      const type = `import('${moduleOf(manifest)}').I${manifest.kind}`
      return `export const object${index}: ${type} = ${JSON.stringify(manifest)}`
    })
    await writeFile(join(work, 'objects.ts'), lines.join('\n'))
    await writeFile(join(work, 'package.json'), '{"type":"module"}')
    const options = { target: 'esnext', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, types: [] }
    await writeFile(join(work, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['objects.ts'] }))
    const tsc = join(repository, 'node_modules', '.bin', 'tsc')
    const output = await run(tsc, ['-p', work], { cwd: work }).then(
      () => '',
      (error: unknown) => z.object({ stdout: z.string() }).parse(error).stdout,
    )
    return output
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith(' '))
      .map((line) => {
        const [, number, text] = /^objects\.ts\((\d+),\d+\): (.*)$/.exec(line) ?? []
        const manifest = manifests[Number(number) - 1]
        return manifest && text ? `${nameOf(manifest)}: ${text}` : line
      })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
