/** Everything that must hold of the manifests: each overlay rendered, every object validated, every reference resolved. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { secretsMade } from '../cluster/keys.ts'
import { flowProblems } from './flows.ts'
import { drainProblems, hardeningProblems } from './hardening.ts'
import {
  givenSecrets,
  Manifest,
  ofKind,
  overlayDir,
  overlays,
  render,
  repository,
  workloads,
  type Overlay,
} from './manifests.ts'
import { referenceProblems, type KnownSecrets } from './references.ts'
import { schemaProblems } from './schemas.ts'
import { table } from './table.ts'

const Cluster = Manifest.extend({
  data: z.object({ BUS_SERVERS: z.coerce.number(), CLUSTER_CERTIFICATES: z.enum(['make', 'others']) }),
})

/** What the Job `keys` will make, by what this overlay tells it; and what administrators bring. */
export async function secretsOf(overlay: Overlay, manifests: readonly Manifest[]): Promise<KnownSecrets> {
  const [settings] = ofKind(
    manifests.filter(({ metadata }) => metadata.name === 'cluster'),
    'ConfigMap',
    Cluster,
  )
  return new Map([...(settings ? secretsMade(settings.data) : []), ...(await givenSecrets(overlay))])
}

/** The image's tag is the version of the workspace, and names the Jobs. */
export async function versionProblems(manifests: readonly Manifest[]): Promise<string[]> {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')))
  return workloads(manifests).flatMap(({ kind, name, pod }) => {
    const images = [...(pod.initContainers ?? []), ...pod.containers].map(({ image }) => image)
    const ours = images.filter((image) => /(^|\/)postbus:/.test(image))
    return [
      ...ours
        .filter((image) => !image.endsWith(`:${version}`))
        .map((image) => `${kind}/${name}: ${image} is not ${version}`),
      ...(kind === 'Job' && !name.endsWith(`-${version}`)
        ? [`${kind}/${name}: not named after version ${version}`]
        : []),
    ]
  })
}

export async function checkManifests(): Promise<boolean> {
  let problems = 0
  for (const overlay of overlays) {
    const manifests = await render(overlayDir(overlay))
    const found = [
      ...(await schemaProblems(manifests)),
      ...referenceProblems(manifests, await secretsOf(overlay, manifests)),
      ...hardeningProblems(manifests),
      ...drainProblems(manifests),
      ...flowProblems(manifests),
      ...(await versionProblems(manifests)),
    ]
    process.stdout.write(`${overlay}: ${manifests.length} objects\n${table(manifests)}\n\n`)
    for (const problem of found) process.stdout.write(`${overlay}: ${problem}\n`)
    problems += found.length
  }
  return problems === 0
}
